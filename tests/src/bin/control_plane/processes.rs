//! Processes of a run: how they are started, and what they use.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// Clock ticks of a second in `/proc`, on every Linux.
const TICKS: f64 = 100.0;
const START_TIME: Duration = Duration::from_secs(60);

/// A process that ends with this one.
pub(crate) struct Process {
    child: Child,
    pub(crate) pid: u32,
}

impl Process {
    fn start(command: &mut Command) -> Result<Self, String> {
        command.stdin(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().map_err(|e| format!("{command:?}: {e}"))?;
        let pid = child.id().ok_or("the process has ended")?;
        Ok(Self { child, pid })
    }

    /// Ends it at once.
    pub(crate) async fn kill(&mut self) -> Result<(), String> {
        self.child.kill().await.map_err(|e| e.to_string())
    }
}

/// A program beside this one.
pub(crate) fn program(name: &str) -> Result<PathBuf, String> {
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    Ok(this.with_file_name(name))
}

/// A scheduler with a port of its own.
pub(crate) struct Scheduler {
    pub(crate) process: Process,
    pub(crate) address: String,
}

impl Scheduler {
    /// Starts one that logs to a file of `folder`.
    pub(crate) async fn start(folder: &Path) -> Result<Self, String> {
        let free = std::net::TcpListener::bind("127.0.0.1:0").map_err(|e| e.to_string())?;
        let address = free.local_addr().map_err(|e| e.to_string())?;
        drop(free);
        let log = std::fs::File::create(folder.join("scheduler.log"));
        let log = log.map_err(|e| format!("cannot write the log: {e}"))?;
        let mut command = Command::new(program("emporia-scheduler")?);
        command
            .args(["--bind-host", "127.0.0.1", "--bind-port"])
            .arg(address.port().to_string())
            .args(["--log-level", "warn"])
            .env_remove("EMPORIA_CONFIG")
            .current_dir(folder)
            .stdout(Stdio::null())
            .stderr(log);
        let scheduler = Self {
            process: Process::start(&mut command)?,
            address: address.to_string(),
        };
        let start = Instant::now();
        while scheduler.get("/healthz").await.is_err() {
            if start.elapsed() > START_TIME {
                return Err("the scheduler does not start".to_owned());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(scheduler)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The answer to an HTTP request, with its head.
    pub(crate) async fn get(&self, path: &str) -> Result<String, String> {
        get(&self.address, path).await
    }

    /// The value of a metric.
    pub(crate) async fn metric(&self, name: &str) -> Result<f64, String> {
        let answer = self.get("/metrics").await?;
        let mut lines = answer.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let value = line.and_then(|value| value.trim().parse().ok());
        value.ok_or_else(|| format!("there is no metric {name}"))
    }
}

/// Asks over HTTP 1.0, so that the server closes the connection after its answer.
pub(crate) async fn get(address: &str, path: &str) -> Result<String, String> {
    let ask = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok::<_, std::io::Error>(answer)
    };
    let answer = ask.await.map_err(|e| format!("{path}: {e}"))?;
    if answer
        .lines()
        .next()
        .is_some_and(|line| line.contains(" 200 "))
    {
        Ok(answer)
    } else {
        Err(answer)
    }
}

/// Starts a process with executors that compute nothing, and waits until they are registered.
pub(crate) async fn start_executors(
    scheduler: &Scheduler,
    name: &str,
    n: usize,
    n_slots: u32,
    task_ms: u64,
) -> Result<Process, String> {
    let this = std::env::current_exe().map_err(|e| e.to_string())?;
    let mut command = Command::new(this);
    command
        .arg("executors")
        .arg(format!("--url={}", scheduler.url()))
        .arg(format!("--name={name}"))
        .arg(format!("--executors={n}"))
        .arg(format!("--slots={n_slots}"))
        .arg(format!("--task-ms={task_ms}"))
        .stdout(Stdio::piped());
    let before = scheduler.metric("emporia_scheduler_executors").await?;
    let mut process = Process::start(&mut command)?;
    // It ends when nobody reads on.
    let output = process.child.stdout.take().ok_or("no output")?;
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(_)) = lines.next_line().await {}
    });
    let start = Instant::now();
    let wanted = n as f64;
    while scheduler.metric("emporia_scheduler_executors").await? - before < wanted {
        if start.elapsed() > START_TIME {
            return Err("the executors do not register".to_owned());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(process)
}

/// What a process has used so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Seconds of all cores.
    pub(crate) cpu: f64,
    /// Bytes.
    pub(crate) resident: u64,
    /// The most bytes since [`Usage::forget_peak`].
    pub(crate) peak: u64,
}

impl Usage {
    pub(crate) fn of(pid: u32) -> Result<Self, String> {
        let read = |file: &str| {
            let text = std::fs::read_to_string(format!("/proc/{pid}/{file}"));
            text.map_err(|e| format!("process {pid} cannot be looked at: {e}"))
        };
        let stat = read("stat")?;
        // The name in brackets may hold spaces.
        let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ');
        let ticks = fields
            .skip(11)
            .take(2)
            .filter_map(|n| n.parse::<f64>().ok());
        let cpu = ticks.sum::<f64>() / TICKS;
        let status = read("status")?;
        let kib = |name: &str| {
            let mut lines = status.lines();
            let line = lines.find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        Ok(Self {
            cpu,
            resident: kib("VmRSS:").unwrap_or_default() * 1024,
            peak: kib("VmHWM:").unwrap_or_default() * 1024,
        })
    }

    /// The peak counts from now on.
    pub(crate) fn forget_peak(pid: u32) -> Result<(), String> {
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5").map_err(|e| e.to_string())
    }
}
