import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hbase.HBaseConfiguration;
import org.apache.hadoop.hbase.HRegionLocation;
import org.apache.hadoop.hbase.NamespaceDescriptor;
import org.apache.hadoop.hbase.ServerName;
import org.apache.hadoop.hbase.TableName;
import org.apache.hadoop.hbase.TableNotFoundException;
import org.apache.hadoop.hbase.client.ColumnFamilyDescriptorBuilder;
import org.apache.hadoop.hbase.client.CompactionState;
import org.apache.hadoop.hbase.client.Connection;
import org.apache.hadoop.hbase.client.ConnectionFactory;
import org.apache.hadoop.hbase.client.RegionInfo;
import org.apache.hadoop.hbase.client.RegionLocator;
import org.apache.hadoop.hbase.client.TableDescriptorBuilder;
import org.apache.hadoop.hbase.exceptions.MergeRegionException;
import org.apache.hadoop.hbase.thrift.generated.Hbase;
import org.apache.hadoop.hbase.thrift2.generated.THBaseService;
import org.apache.hadoop.hbase.util.Bytes;
import org.apache.thrift.TConfiguration;
import org.apache.thrift.protocol.TBinaryProtocol;
import org.apache.thrift.transport.TSocket;

/**
 * Does to HBase what the Thrift gateway cannot: splits, moves, merges and checks of health.
 *
 * <p>Resident, because a Java process per command takes seconds. A client connects to the port,
 * sends the number of its arguments and then one argument a line, and reads lines of output; the
 * last line is {@code ok} or {@code error: ...}. {@code services admin} is that client.
 *
 * <p>Row keys are written as HBase prints them: {@code \xHH} stands for a byte.
 */
@SuppressWarnings("deprecation")
public final class Admin {
  private static final long WAIT_MS = 60_000;

  /** Region server port to its name in the tests, such as region-1. */
  private final Map<Integer, String> names = new HashMap<>();

  private Connection connection;

  /** Does not retry, so that the one who waits for health decides how often to ask. */
  private Connection impatient;

  public static void main(String[] args) throws Exception {
    new Admin(args[1]).serve(Integer.parseInt(args[0]));
  }

  private Admin(String servers) {
    for (String server : servers.split(",")) {
      String[] nameAndPort = server.split("=");
      names.put(Integer.valueOf(nameAndPort[1]), nameAndPort[0]);
    }
  }

  private void serve(int port) throws IOException {
    try (ServerSocket listener = new ServerSocket(port, 50, InetAddress.getByName("127.0.0.1"))) {
      while (true) {
        Socket client = listener.accept();
        Thread thread = new Thread(() -> answer(client));
        thread.setDaemon(true);
        thread.start();
      }
    }
  }

  private void answer(Socket client) {
    try (Socket socket = client;
        BufferedReader in =
            new BufferedReader(
                new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(socket.getOutputStream(), false, "UTF-8")) {
      int count = Integer.parseInt(in.readLine());
      List<String> args = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        args.add(in.readLine());
      }
      try {
        run(args, out);
        out.println("ok");
      } catch (Exception | LinkageError e) {
        e.printStackTrace();
        out.println("error: " + String.valueOf(e).split("\n")[0]);
      }
    } catch (IOException | RuntimeException e) {
      e.printStackTrace();
    }
  }

  private void run(List<String> args, PrintStream out) throws Exception {
    String command = args.get(0);
    switch (command) {
      case "ping":
        break;
      case "ping-gateway":
        pingGateway(Integer.parseInt(args.get(1)), args.get(2).equals("2"));
        break;
      case "ready":
        ready(args.get(1), Long.parseLong(args.get(2)));
        break;
      case "servers":
        for (ServerName server : admin().getRegionServers()) {
          out.println(name(server));
        }
        break;
      case "tables":
        for (TableName table : admin().listTableNames()) {
          out.println(table);
        }
        break;
      case "regions":
        if (!admin().tableExists(table(args))) {
          throw new TableNotFoundException(table(args));
        }
        for (HRegionLocation at : locations(table(args))) {
          RegionInfo region = at.getRegion();
          out.println(
              name(at.getServerName())
                  + "\t"
                  + Bytes.toStringBinary(region.getStartKey())
                  + "\t"
                  + Bytes.toStringBinary(region.getEndKey())
                  + "\t"
                  + region.getEncodedName());
        }
        break;
      case "create":
        create(args);
        break;
      case "drop":
        if (admin().isTableEnabled(table(args))) {
          admin().disableTable(table(args));
        }
        admin().deleteTable(table(args));
        break;
      case "enable":
        admin().enableTable(table(args));
        break;
      case "disable":
        admin().disableTable(table(args));
        break;
      case "flush":
        admin().flush(table(args));
        break;
      case "compact":
        compact(table(args));
        break;
      case "split":
        split(table(args), key(args.get(2)));
        break;
      case "merge":
        merge(table(args), key(args.get(2)), key(args.get(3)));
        break;
      case "move":
        out.println(move(table(args), key(args.get(2)), args.size() > 3 ? args.get(3) : "other"));
        break;
      case "balance":
        balance(args.get(1), out);
        break;
      default:
        throw new IllegalArgumentException("no command " + command);
    }
  }

  /** Fails unless that server, started at or after {@code since}, serves. */
  private void ready(String server, long since) throws IOException {
    org.apache.hadoop.hbase.client.Admin admin = impatient().getAdmin();
    if (server.equals("hmaster")) {
      ServerName master = admin.getMaster();
      // This call is refused until the master is initialised.
      admin.listNamespaceDescriptors();
      if (master == null || master.getStartcode() < since) {
        throw new IllegalStateException("the active master is an earlier one");
      }
      return;
    }
    for (ServerName live : admin.getRegionServers()) {
      if (name(live).equals(server) && live.getStartcode() >= since) {
        return;
      }
    }
    throw new IllegalStateException(server + " has not reported to the master");
  }

  /** Lists the tables through a gateway, which needs the gateway, ZooKeeper and the master. */
  private static void pingGateway(int port, boolean second) throws Exception {
    try (TSocket socket = new TSocket(new TConfiguration(), "127.0.0.1", port, 15_000)) {
      socket.open();
      TBinaryProtocol protocol = new TBinaryProtocol(socket);
      if (second) {
        new THBaseService.Client(protocol).getTableNamesByNamespace("default");
      } else {
        new Hbase.Client(protocol).getTableNames();
      }
    }
  }

  /** create TABLE FAMILY... [--split KEY,KEY...] */
  private void create(List<String> args) throws IOException {
    TableDescriptorBuilder table = TableDescriptorBuilder.newBuilder(table(args));
    List<byte[]> splits = new ArrayList<>();
    for (int i = 2; i < args.size(); i++) {
      if (args.get(i).equals("--split")) {
        for (String key : args.get(++i).split(",")) {
          splits.add(key(key));
        }
      } else {
        table.setColumnFamily(ColumnFamilyDescriptorBuilder.of(args.get(i)));
      }
    }
    String namespace = table(args).getNamespaceAsString();
    if (!List.of(admin().listNamespaces()).contains(namespace)) {
      admin().createNamespace(NamespaceDescriptor.create(namespace).build());
    }
    admin().createTable(table.build(), splits.isEmpty() ? null : splits.toArray(new byte[0][]));
  }

  private void split(TableName table, byte[] key) throws Exception {
    RegionInfo parent = locate(table, key).getRegion();
    admin().splitRegionAsync(parent.getRegionName(), key).get(WAIT_MS, TimeUnit.MILLISECONDS);
    until("split", () -> online(table) && startsAt(table, key));
  }

  /** A region that was split off can be merged only when a compaction has freed it of its parent. */
  private void merge(TableName table, byte[] key, byte[] otherKey) throws Exception {
    byte[] first = locate(table, key).getRegion().getEncodedNameAsBytes();
    byte[] second = locate(table, otherKey).getRegion().getEncodedNameAsBytes();
    if (Bytes.equals(first, second)) {
      throw new IllegalArgumentException("both keys lie in one region");
    }
    compact(table);
    until("merged", () -> tryMerge(first, second));
    until("online", () -> online(table));
  }

  private boolean tryMerge(byte[] first, byte[] second) throws Exception {
    try {
      admin()
          .mergeRegionsAsync(new byte[][] {first, second}, false)
          .get(WAIT_MS, TimeUnit.MILLISECONDS);
      return true;
    } catch (ExecutionException e) {
      if (!(e.getCause() instanceof MergeRegionException)) {
        throw e;
      }
      admin().runCatalogJanitor();
      return false;
    }
  }

  private void compact(TableName table) throws Exception {
    admin().flush(table);
    admin().majorCompact(table);
    Thread.sleep(500);
    until("compacted", () -> admin().getCompactionState(table) == CompactionState.NONE);
  }

  private String move(TableName table, byte[] key, String to) throws Exception {
    HRegionLocation from = locate(table, key);
    for (ServerName server : admin().getRegionServers()) {
      boolean wanted = to.equals("other") ? !server.equals(from.getServerName()) : name(server).equals(to);
      if (wanted) {
        admin().move(from.getRegion().getEncodedNameAsBytes(), server);
        until("moved", () -> server.equals(locate(table, key).getServerName()));
        return name(server);
      }
    }
    throw new IllegalArgumentException("no live region server " + to);
  }

  private void balance(String how, PrintStream out) throws IOException {
    switch (how) {
      case "on":
      case "off":
        admin().balancerSwitch(how.equals("on"), true);
        break;
      case "now":
        out.println(admin().balance());
        break;
      default:
        throw new IllegalArgumentException("balance on, off or now");
    }
  }

  private boolean startsAt(TableName table, byte[] key) throws IOException {
    return Bytes.equals(locate(table, key).getRegion().getStartKey(), key);
  }

  private boolean online(TableName table) throws IOException {
    for (HRegionLocation at : locations(table)) {
      if (at.getServerName() == null || at.getRegion().isOffline()) {
        return false;
      }
    }
    return true;
  }

  private HRegionLocation locate(TableName table, byte[] key) throws IOException {
    try (RegionLocator locator = connection().getRegionLocator(table)) {
      return locator.getRegionLocation(key, true);
    }
  }

  private List<HRegionLocation> locations(TableName table) throws IOException {
    try (RegionLocator locator = connection().getRegionLocator(table)) {
      locator.clearRegionLocationCache();
      return locator.getAllRegionLocations();
    }
  }

  private static void until(String what, Callable<Boolean> condition) throws Exception {
    long end = System.currentTimeMillis() + WAIT_MS;
    while (!condition.call()) {
      if (System.currentTimeMillis() > end) {
        throw new IllegalStateException("not " + what + " after " + WAIT_MS / 1000 + " s");
      }
      Thread.sleep(100);
    }
  }

  private String name(ServerName server) {
    return server == null
        ? "none"
        : names.getOrDefault(server.getPort(), server.getAddress().toString());
  }

  private static TableName table(List<String> args) {
    return TableName.valueOf(args.get(1));
  }

  private static byte[] key(String text) {
    return Bytes.toBytesBinary(text);
  }

  private org.apache.hadoop.hbase.client.Admin admin() throws IOException {
    return connection().getAdmin();
  }

  private synchronized Connection connection() throws IOException {
    if (connection == null || connection.isClosed()) {
      connection = ConnectionFactory.createConnection(HBaseConfiguration.create());
    }
    return connection;
  }

  private synchronized Connection impatient() throws IOException {
    if (impatient == null || impatient.isClosed()) {
      Configuration conf = HBaseConfiguration.create();
      conf.setInt("hbase.client.retries.number", 1);
      conf.setInt("hbase.rpc.timeout", 5_000);
      conf.setInt("hbase.client.operation.timeout", 10_000);
      impatient = ConnectionFactory.createConnection(conf);
    }
    return impatient;
  }
}
