import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** What the command line says: words key=value, as bench/load/job.py has them. */
final class Job {
    final String workload;
    final List<String> endpoints;
    final int inFlight;
    final int connections;
    final double seconds;
    final double warm;
    final byte[] value;
    final int rounds;
    final int nodes;
    final int depth;

    Job(String[] words) {
        Map<String, String> said = new HashMap<>();
        for (String word : words) {
            String[] parts = word.split("=", 2);
            if (parts.length != 2) {
                throw new IllegalArgumentException(word + " is no word of a job");
            }
            said.put(parts[0], parts[1]);
        }
        workload = said.getOrDefault("workload", "");
        endpoints = List.of(said.getOrDefault("endpoints", "").split(","));
        inFlight = Integer.parseInt(said.getOrDefault("in_flight", "1"));
        connections = Integer.parseInt(said.getOrDefault("connections", "1"));
        seconds = Double.parseDouble(said.getOrDefault("seconds", "5"));
        warm = Double.parseDouble(said.getOrDefault("warm", "1"));
        value = "v".repeat(Integer.parseInt(said.getOrDefault("size", "100"))).getBytes();
        rounds = Integer.parseInt(said.getOrDefault("rounds", "10"));
        nodes = Integer.parseInt(said.getOrDefault("nodes", "0"));
        depth = Integer.parseInt(said.getOrDefault("depth", "0"));
    }
}
