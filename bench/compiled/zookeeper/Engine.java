import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;

/** Keeps operations in flight. */
final class Engine {
    private static final long PAUSE_MILLISECONDS = 10;

    private Engine() { }

    /** Something that blocks. */
    interface Step {
        void run() throws Exception;
    }

    /** Each act over and over, all at once, for so long; the end of one begins the next. */
    static Record repeat(List<Client.Act> acts, double seconds) throws Exception {
        List<Record> records = new ArrayList<>();
        CountDownLatch over = new CountDownLatch(acts.size());
        ScheduledExecutorService later = Executors.newSingleThreadScheduledExecutor();
        double end = Record.now() + seconds;
        for (Client.Act act : acts) {
            Record record = new Record();
            records.add(record);
            begin(act, record, end, over, later);
        }
        over.await();
        later.shutdownNow();
        return Record.merged(records);
    }

    private static void begin(
            Client.Act act, Record record, double end, CountDownLatch over, ScheduledExecutorService later) {
        double began = Record.now();
        if (began >= end) {
            over.countDown();
            return;
        }
        act.begin(code -> {
            if (code == 0) {
                record.add(began, Record.now());
                begin(act, record, end, over, later);
            } else {
                record.errors++;
                later.schedule(
                        () -> begin(act, record, end, over, later), PAUSE_MILLISECONDS, TimeUnit.MILLISECONDS);
            }
        });
    }

    /** The same with a thread for each. */
    static Record repeatBlocking(List<Step> steps, double seconds) throws Exception {
        List<Record> records = new ArrayList<>();
        double end = Record.now() + seconds;
        List<Step> loops = new ArrayList<>();
        for (Step step : steps) {
            Record record = new Record();
            records.add(record);
            loops.add(() -> {
                for (double began = Record.now(); began < end; began = Record.now()) {
                    step.run();
                    record.add(began, Record.now());
                }
            });
        }
        once(loops);
        return Record.merged(records);
    }

    /** Each once, all at once, a thread for each; throws what one throws. */
    static void once(List<Step> steps) throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(Math.max(1, steps.size()));
        try {
            List<Callable<Void>> calls = new ArrayList<>();
            for (Step step : steps) {
                calls.add(() -> {
                    step.run();
                    return null;
                });
            }
            for (Future<Void> done : pool.invokeAll(calls)) {
                done.get();
            }
        } finally {
            pool.shutdownNow();
        }
    }
}
