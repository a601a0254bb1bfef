//! A server for the time of a bench, asked through psql.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::bench::{rapport, timed};

const PASSWORD: &str = "only for the bench";

/// The user as whom psql asks.
pub fn add_user(lake: &Path) -> Result<()> {
    let mut user = rapport(lake, ["user", "add", "bench"])?;
    user.env("RAPPORT_PASSWORD", PASSWORD);
    timed(user)?;
    Ok(())
}

pub struct Server {
    process: Child,
    port: u16,
}

impl Server {
    pub fn start(lake: &Path) -> Result<Server> {
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let mut command = rapport(lake, ["serve"])?;
        let process = command
            .env("RAPPORT_SERVE__LISTEN", format!("127.0.0.1:{port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Server { process, port };
        let deadline = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline {
                bail!("the server does not answer");
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// What psql says to a script.
    pub fn psql(&self, script: &str) -> Result<String> {
        let file = tempfile::NamedTempFile::new()?;
        fs::write(file.path(), script)?;
        let mut psql = Command::new("psql");
        psql.args(["-X", "-w", "-v", "ON_ERROR_STOP=1", "-f"])
            .arg(file.path())
            .envs([
                ("PGHOST", "127.0.0.1".to_owned()),
                ("PGPORT", self.port.to_string()),
                ("PGUSER", "bench".to_owned()),
                ("PGPASSWORD", PASSWORD.to_owned()),
                ("PGDATABASE", "rapport".to_owned()),
            ]);
        Ok(timed(psql)?.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &self.process.id().to_string()])
            .status();
        let _ = self.process.wait();
    }
}

/// Milliseconds that psql tells under `\timing`.
pub fn times_told(said: &str) -> Vec<f64> {
    said.lines()
        .filter_map(|line| line.strip_prefix("Time: ")?.split(' ').next()?.parse().ok())
        .collect()
}
