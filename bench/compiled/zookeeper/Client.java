import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooKeeper;

/** A session of its own with one member. */
final class Client {
    static final String ROOT = "/bench";
    private static final int TIMEOUT = 10_000;

    final ZooKeeper zookeeper;

    Client(String endpoint) throws Exception {
        CountDownLatch connected = new CountDownLatch(1);
        zookeeper = new ZooKeeper(endpoint, TIMEOUT, event -> {
            if (event.getState() == KeeperState.SyncConnected) {
                connected.countDown();
            }
        });
        connected.await();
    }

    /** The path of a node that is there now. */
    String make(String name) throws Exception {
        String path = ROOT + name;
        try {
            zookeeper.create(path, new byte[0], Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
        } catch (KeeperException.NodeExistsException there) {
            return path;
        }
        return path;
    }

    /** Hears of the end of an operation: 0, or the code of an error. */
    interface Ended {
        void ended(int code);
    }

    /** Begins an operation. */
    interface Act {
        void begin(Ended then);
    }

    Act writer(String path, byte[] value) {
        return then -> zookeeper.setData(path, value, -1, (code, at, context, stat) -> then.ended(code), null);
    }

    /** A sync, and behind it on the same connection the read: linearizable. */
    Act reader(String path) {
        return then -> {
            zookeeper.sync(path, (code, at, context) -> { }, null);
            zookeeper.getData(path, false, (code, at, context, data, stat) -> then.ended(code), null);
        };
    }

    /** From the member one is connected to, which may be behind. */
    Act nearReader(String path) {
        return then ->
                zookeeper.getData(path, false, (code, at, context, data, stat) -> then.ended(code), null);
    }

    /** The usual recipe: the lowest number holds, everybody else watches the one before. */
    final class Lock {
        private final String directory;
        private String mine;

        Lock(String name) throws Exception {
            directory = make("/" + name);
        }

        void acquire() throws Exception {
            byte[] nothing = new byte[0];
            mine = zookeeper.create(directory + "/n-", nothing, Ids.OPEN_ACL_UNSAFE, CreateMode.EPHEMERAL_SEQUENTIAL);
            String name = mine.substring(directory.length() + 1);
            while (true) {
                List<String> waiting = zookeeper.getChildren(directory, false);
                Collections.sort(waiting);
                int place = waiting.indexOf(name);
                if (place == 0) {
                    return;
                }
                CountDownLatch gone = new CountDownLatch(1);
                String before = directory + "/" + waiting.get(place - 1);
                if (zookeeper.exists(before, event -> gone.countDown()) != null) {
                    gone.await();
                }
            }
        }

        void release() throws Exception {
            zookeeper.delete(mine, -1);
        }

        void cycle() throws Exception {
            acquire();
            release();
        }
    }
}
