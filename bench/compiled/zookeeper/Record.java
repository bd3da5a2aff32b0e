import java.util.Arrays;
import java.util.List;
import java.util.Locale;

/** What a closed loop saw: when each operation began and ended, in seconds, and how many failed. */
final class Record {
    private static final long START = System.nanoTime();

    double[] began = new double[1024];
    double[] ended = new double[1024];
    int count;
    int errors;

    /** Seconds since the generator began. */
    static double now() {
        return (System.nanoTime() - START) / 1e9;
    }

    void add(double from, double to) {
        if (count == began.length) {
            began = Arrays.copyOf(began, 2 * count);
            ended = Arrays.copyOf(ended, 2 * count);
        }
        began[count] = from;
        ended[count++] = to;
    }

    /** All as one. */
    static Record merged(List<Record> records) {
        Record whole = new Record();
        for (Record record : records) {
            for (int i = 0; i < record.count; i++) {
                whole.add(record.began[i], record.ended[i]);
            }
            whole.errors += record.errors;
        }
        return whole;
    }

    /** Seconds from the first begin to the last end. */
    double span() {
        double first = Arrays.stream(began, 0, count).min().orElse(0);
        return Arrays.stream(ended, 0, count).max().orElse(0) - first;
    }

    /** The longest time from one instant to another in which nothing was acknowledged to anybody. */
    double gap(double since, double until) {
        double[] ends = Arrays.copyOf(ended, count + 2);
        ends[count] = since;
        ends[count + 1] = until;
        Arrays.sort(ends);
        double longest = 0;
        for (int i = 1; i < ends.length; i++) {
            longest = Math.max(longest, ends[i] - ends[i - 1]);
        }
        return longest;
    }

    /** The line that is printed: see bench/load/sample.py. */
    String sample(double value, double seconds, double processor) {
        double[] took = new double[count];
        for (int i = 0; i < count; i++) {
            took[i] = ended[i] - began[i];
        }
        Arrays.sort(took);
        return String.format(
                Locale.ROOT,
                "{\"value\":%.9g,\"operations\":%d,\"seconds\":%.6f,\"p50\":%.6f,\"p99\":%.6f,\"worst\":%.6f,"
                        + "\"errors\":%d,\"processor\":%.4f}",
                value, count, seconds, percentile(took, 0.5), percentile(took, 0.99), percentile(took, 1.0),
                errors, processor);
    }

    /** By nearest rank. */
    static double percentile(double[] ordered, double share) {
        if (ordered.length == 0) {
            return 0;
        }
        return ordered[Math.max(0, (int) Math.ceil(share * ordered.length) - 1)];
    }

    static double median(double[] values) {
        double[] ordered = values.clone();
        Arrays.sort(ordered);
        int middle = ordered.length / 2;
        return ordered.length % 2 == 1 ? ordered[middle] : (ordered[middle - 1] + ordered[middle]) / 2;
    }
}
