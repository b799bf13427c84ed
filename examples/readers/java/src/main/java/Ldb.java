import java.io.IOException;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Set;
import org.sqlite.SQLiteConfig;
import org.sqlite.SQLiteException;

/** A connection that follows the agent's switches, by the rules of docs/reading.md. One per thread. */
final class Ldb {
    /** What to do on one state of the LDB. */
    interface Work<T> {
        T on(Statement statement) throws SQLException;
    }

    /** What the agent says in the control page. */
    record Words(long generation, long seq, long incarnation) {}

    /** What passes by itself: BUSY, CANTOPEN and PROTOCOL in all their forms, READONLY_RECOVERY and READONLY_CANTINIT. */
    private static final Set<Integer> PASSING_KINDS = Set.of(5, 14, 15), PASSING = Set.of(264, 1288);

    private static final int RETRIES_AT_ONCE = 3, REOPEN_AFTER = 20, GIVE_UP_AFTER = 5000;

    private final Path file;
    private final MappedByteBuffer page;
    private Connection connection;
    long opened;

    Ldb(Path directory) throws IOException {
        file = directory.toAbsolutePath().resolve("current").resolve("ldb.db");
        try (var ctl = FileChannel.open(directory.resolve("ctl"))) {
            page = ctl.map(FileChannel.MapMode.READ_ONLY, 0, 4096);
        }
        page.order(ByteOrder.LITTLE_ENDIAN);
        var magic = new byte[8];
        page.get(0, magic);
        if (!new String(magic, StandardCharsets.US_ASCII).equals("CTLSTOR1") || page.getLong(48) > 1) {
            throw new IOException(directory + " holds no LDB that this program can read");
        }
    }

    /** Looks at the control page, without a system call. */
    Words words() {
        // The generation is written last, so it is read first.
        long generation = page.getLong(16);
        java.lang.invoke.VarHandle.acquireFence();
        return new Words(generation, page.getLong(24), page.getLong(40));
    }

    /** Runs the work on one state of the LDB, again after what passes by itself. */
    <T> T read(Work<T> work) throws SQLException, InterruptedException {
        long started = System.nanoTime();
        for (int tries = 1; ; tries++) {
            try {
                follow();
                return transaction(work);
            } catch (SQLException error) {
                // The tables of a retired file are gone, and a broken one is replaced: is there a newer one?
                if (!passes(error) && opened == words().generation()) throw error;
                long waited = (System.nanoTime() - started) / 1_000_000;
                if (waited > GIVE_UP_AFTER) throw error;
                if (waited > REOPEN_AFTER) close();
                if (tries > RETRIES_AT_ONCE) Thread.sleep(Math.min(1 << Math.min(tries - RETRIES_AT_ONCE, 6), 50));
            }
        }
    }

    /** Opens the file that is served now. The word is read first: the file may then be newer, never older. */
    private void follow() throws SQLException {
        long generation = words().generation();
        if (connection != null && opened == generation) return;
        Connection fresh = null;
        try {
            var config = new SQLiteConfig();
            config.setReadOnly(true);
            config.setBusyTimeout(100);
            fresh = config.createConnection("jdbc:sqlite:" + file.toUri() + "?mode=ro&readonly_shm=1");
            try (var statement = fresh.createStatement()) {
                position(statement);
            }
            // From here on a statement begins a transaction, which rollback() ends.
            fresh.setAutoCommit(false);
        } catch (SQLException error) {
            if (fresh != null) fresh.close();
            // Until the new one has answered, the old one serves.
            if (connection != null) return;
            throw error;
        }
        close();
        connection = fresh;
        opened = generation;
    }

    private <T> T transaction(Work<T> work) throws SQLException {
        try (var statement = connection.createStatement()) {
            return work.on(statement);
        } finally {
            // Also after an error: a transaction left open holds up the agent.
            connection.rollback();
        }
    }

    private void close() throws SQLException {
        if (connection != null) connection.close();
        connection = null;
        opened = 0;
    }

    static long position(Statement statement) throws SQLException {
        try (ResultSet rows = statement.executeQuery("SELECT seq FROM _ldb_seq")) {
            return rows.next() ? rows.getLong(1) : 0;
        }
    }

    private static boolean passes(SQLException error) {
        int code = error instanceof SQLiteException failed ? failed.getResultCode().code : 0;
        return PASSING_KINDS.contains(code & 0xff) || PASSING.contains(code);
    }
}
