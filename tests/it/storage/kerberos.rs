//! An HDFS that asks for tickets and encrypts everything.

use super::workplace::{OwnServers, Workplace};
use crate::faults::cluster::{self, Patience};

/// In the order in which they are stopped.
const SERVERS: &[&str] = &["secure-datanode", "secure-namenode", "kdc"];

const CATALOG: &str = r##"
[tables.copies]
connector = "parquet"
location = "HDFS/shop/copies"
columns = ["user_id string", "country string"]
"##;

#[test]
fn an_hdfs_with_kerberos_takes_those_with_a_ticket() {
    let Some(mut workplace) = Workplace::open() else {
        return;
    };
    let _servers = OwnServers::start(&workplace, "kerberos", SERVERS);
    let place = workplace.services.kerberos.clone();
    workplace.catalog(&CATALOG.replace("HDFS", &place.hdfs));
    let file = |name: &str| place.kdc.join(name).display().to_string();
    // Tickets of a process lie where the variable says; those of the key are fetched when needed.
    let folder = workplace.path("");
    let process = |tickets: &str, key: &str| {
        vec![
            (
                "EMPORIA_STORES__HADOOP_CONF_DIR",
                place.hadoop_conf.display().to_string(),
            ),
            ("KRB5_CONFIG", file("krb5.conf")),
            ("KRB5_CLIENT_KTNAME", file(key)),
            (
                "KRB5CCNAME",
                format!("FILE:{}", folder.join(tickets).display()),
            ),
        ]
    };
    workplace.settings = process("tickets", "shop.keytab");
    let data = format!("{}/shop/data", place.hdfs);
    workplace.generate("0.01", "users", &data);
    workplace.catalog(&format!(
        "[tables.users]\nconnector = \"parquet\"\nlocation = \"{data}/users/\"\n"
    ));
    let without_key = process("no-tickets", "no.keytab");
    let without_key: Vec<_> = without_key.iter().map(|(k, v)| (*k, v.as_str())).collect();
    workplace.refused(
        &["sql", "--no-progress", "-e", "SELECT count(*) FROM users"],
        &without_key,
        1,
        &[
            "No Kerberos credentials",
            "hint: check the Kerberos ticket (`klist`) or keytab",
        ],
    );

    // Over processes of their own, none of which is told the path of the key by another.
    let mut environment = workplace.services.environment();
    environment.extend(process("tickets-of-cluster", "shop.keytab"));
    let cluster =
        cluster::start(&workplace.path("cluster"), 2, Patience::Short, &environment).unwrap();
    let url = cluster.url.clone();
    workplace.settings.push(("EMPORIA_CLIENT__CLUSTER", url));
    workplace.writes("INSERT OVERWRITE copies SELECT user_id, country FROM users");
    let rows = |table: &str| {
        workplace.csv(&format!(
            "SELECT user_id, country FROM {table} ORDER BY user_id"
        ))
    };
    let copies = rows("copies");
    assert_eq!(copies.lines().count(), 101, "{copies}");
    assert_eq!(copies, rows("users"));
    // The right of the key's user was used, not that of the operating system's.
    let tickets = std::fs::read(workplace.path("tickets-of-cluster")).unwrap();
    let mut names = tickets.windows(4);
    assert!(
        names.any(|bytes| bytes == b"shop"),
        "tickets of another user"
    );
}
