import com.sun.management.OperatingSystemMXBean;
import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;

/**
 * A generator of load for ZooKeeper, by its own client. Words and output are those of bench/load: see bench/load/job.py
 * and bench/load/sample.py; what a workload does is said in bench/load/workloads.py.
 */
public final class Load {
    private static final long SETTLE_MILLISECONDS = 2000;

    private final Job job;
    private final List<Client> clients = new ArrayList<>();

    private Load(Job job) throws Exception {
        if (job.nodes != 0 || job.depth != 0) {
            throw new IllegalArgumentException("this generator neither fills a cluster nor makes directories");
        }
        this.job = job;
        for (int number = 0; number < job.connections; number++) {
            String first = job.endpoints.get(number % job.endpoints.size());
            clients.add(new Client(job.workload.equals("fail_over") ? String.join(",", job.endpoints) : first));
        }
        clients.get(0).make("");
    }

    /** Print the sample of the job that the words say; the exit code is 1 if it fails. */
    public static void main(String[] words) {
        try {
            System.out.println(new Load(new Job(words)).work());
            System.exit(0);
        } catch (Exception failure) {
            failure.printStackTrace();
            System.exit(1);
        }
    }

    private String work() throws Exception {
        switch (job.workload) {
            case "writes":
                return rate(data("w", (client, path) -> client.writer(path, job.value)));
            case "reads":
                return rate(data("r", Client::reader));
            case "near_reads":
                return rate(data("n", Client::nearReader));
            case "lock_cycles":
                return lockCycles();
            case "contended_lock":
                return contendedLock();
            case "fan_out":
                return fanOut();
            case "fail_over":
                return failOver();
            default:
                throw new IllegalArgumentException("no workload " + job.workload);
        }
    }

    private interface Maker {
        Client.Act make(Client client, String path);
    }

    /** An act for every operation in flight, each on a node of its own that has a value, through the next client. */
    private List<Client.Act> data(String prefix, Maker maker) throws Exception {
        List<Client.Act> acts = new ArrayList<>();
        for (int number = 0; number < job.inFlight; number++) {
            Client client = clients.get(number % clients.size());
            String path = client.make(String.format("/%s%04d", prefix, number));
            client.zookeeper.setData(path, job.value, -1);
            acts.add(maker.make(client, path));
        }
        return acts;
    }

    private String rate(List<Client.Act> acts) throws Exception {
        Engine.repeat(acts, job.warm);
        double before = ready();
        Record record = Engine.repeat(acts, job.seconds);
        return rated(record, before);
    }

    private static String rated(Record record, double before) {
        double span = record.span();
        return record.sample(record.count / span, span, (processorSeconds() - before) / span);
    }

    private String lockCycles() throws Exception {
        List<Engine.Step> cycles = new ArrayList<>();
        for (int number = 0; number < job.inFlight; number++) {
            cycles.add(clients.get(number % clients.size()).new Lock("l" + number)::cycle);
        }
        Engine.repeatBlocking(cycles, job.warm);
        double before = ready();
        return rated(Engine.repeatBlocking(cycles, job.seconds), before);
    }

    private String contendedLock() throws Exception {
        Client.Lock holder = clients.get(0).new Lock("contended");
        List<Engine.Step> waiters = new ArrayList<>();
        for (Client client : clients.subList(1, clients.size())) {
            waiters.add(client.new Lock("contended")::cycle);
        }
        double[] rates = new double[job.rounds];
        ready();
        for (int round = 0; round < job.rounds; round++) {
            holder.acquire();
            Exception[] failed = new Exception[1];
            Thread waiting = new Thread(() -> {
                try {
                    Engine.once(waiters);
                } catch (Exception failure) {
                    failed[0] = failure;
                }
            });
            waiting.start();
            Thread.sleep(SETTLE_MILLISECONDS);
            double began = Record.now();
            holder.release();
            waiting.join();
            if (failed[0] != null) {
                throw failed[0];
            }
            rates[round] = waiters.size() / (Record.now() - began);
        }
        return new Record().sample(Record.median(rates), job.rounds * SETTLE_MILLISECONDS / 1e3, 0);
    }

    private String fanOut() throws Exception {
        Client writer = clients.get(0);
        String path = writer.make("/watched");
        Record record = new Record();
        double[] took = new double[job.rounds];
        ready();
        for (int round = 0; round <= job.rounds; round++) {
            CountDownLatch told = new CountDownLatch(job.inFlight);
            for (int number = 0; number < job.inFlight; number++) {
                clients.get(number % clients.size()).zookeeper.getData(path, event -> told.countDown(), null);
            }
            Thread.sleep(SETTLE_MILLISECONDS);
            double began = Record.now();
            writer.zookeeper.setData(path, job.value, -1);
            told.await();
            if (round > 0) {
                record.add(began, Record.now());
                took[round - 1] = Record.now() - began;
            }
        }
        return record.sample(Record.median(took), job.rounds * SETTLE_MILLISECONDS / 1e3, 0);
    }

    private String failOver() throws Exception {
        List<Client.Act> acts = data("f", (client, path) -> client.writer(path, job.value));
        Engine.repeat(acts, job.warm);
        ready();
        double since = Record.now();
        Record record = Engine.repeat(acts, job.seconds);
        return record.sample(record.gap(since, since + job.seconds), record.span(), 0);
    }

    /** Say that what is measured begins; the processor time so far. */
    private static double ready() {
        System.out.println("ready");
        return processorSeconds();
    }

    private static double processorSeconds() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime() / 1e9;
    }
}
