import static java.nio.file.StandardCopyOption.REPLACE_EXISTING;

import java.io.File;
import java.nio.file.Files;
import java.util.Properties;
import org.apache.hadoop.minikdc.MiniKdc;

/**
 * A Kerberos server that issues tickets to a user, `shop`, and to the servers of HDFS on localhost.
 *
 * <p>Arguments: the port, and a folder for `krb5.conf`, `servers.keytab` and `shop.keytab`.
 */
public class Kdc {
    public static void main(String[] arguments) throws Exception {
        Properties properties = MiniKdc.createConf();
        properties.setProperty(MiniKdc.KDC_PORT, arguments[0]);
        properties.setProperty(MiniKdc.KDC_BIND_ADDRESS, "localhost");
        properties.setProperty(MiniKdc.TRANSPORT, "TCP");
        properties.setProperty(MiniKdc.ORG_NAME, "EMPORIA");
        properties.setProperty(MiniKdc.ORG_DOMAIN, "TEST");
        File folder = new File(arguments[1]);
        folder.mkdirs();
        MiniKdc server = new MiniKdc(properties, folder);
        server.start();
        Files.copy(server.getKrb5conf().toPath(), new File(folder, "krb5.conf").toPath(), REPLACE_EXISTING);
        server.createPrincipal(new File(folder, "servers.keytab"), "hdfs/localhost", "HTTP/localhost");
        server.createPrincipal(new File(folder, "shop.keytab"), "shop");
        Thread.currentThread().join();
    }
}
