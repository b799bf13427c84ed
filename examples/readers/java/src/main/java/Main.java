import java.nio.file.Path;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/**
 * Reads an LDB over JDBC.
 *
 * <pre>
 * mvn compile
 * java -cp 'target/classes:target/jars/*' Main once DIR FAMILY___TABLE      prints the rows
 * java -cp 'target/classes:target/jars/*' Main follow DIR FAMILY___TABLE    again after each change, until it is killed
 * </pre>
 */
final class Main {
    private record State(long seq, List<String> rows) {}

    public static void main(String[] args) throws Exception {
        if (args.length != 3 || !List.of("once", "follow").contains(args[0])) {
            System.err.println("usage: Main once|follow DIR FAMILY___TABLE");
            System.exit(2);
        }
        var ldb = new Ldb(Path.of(args[1]));
        Ldb.Words seen = null;
        while (true) {
            // Before the read: what changes during it is then seen by the next look.
            var now = ldb.words();
            if (!now.equals(seen)) {
                var state = ldb.read(statement -> new State(Ldb.position(statement), rows(statement, args[2])));
                System.out.printf("seq=%d generation=%d incarnation=%d rows=%d%n",
                        state.seq(), ldb.opened, now.incarnation(), state.rows().size());
                state.rows().forEach(System.out::println);
                System.out.flush();
                seen = now;
            }
            if (args[0].equals("once")) return;
            Thread.sleep(10);
        }
    }

    private static List<String> rows(Statement statement, String table) throws SQLException {
        var lines = new ArrayList<String>();
        try (var rows = statement.executeQuery("SELECT * FROM \"" + table.replace("\"", "\"\"") + "\"")) {
            int columns = rows.getMetaData().getColumnCount();
            while (rows.next()) {
                var cells = new ArrayList<String>();
                for (int column = 1; column <= columns; column++) cells.add(show(rows.getObject(column)));
                lines.add(String.join("\t", cells));
            }
        }
        return lines;
    }

    private static String show(Object value) {
        if (value == null) return "NULL";
        return value instanceof byte[] bytes ? HexFormat.of().formatHex(bytes) : value.toString();
    }
}
