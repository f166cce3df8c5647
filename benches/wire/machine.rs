//! System statistics on a process, the processors and lost datagrams (`/proc`, Linux).

use std::fs;
use std::time::Duration;

/// Ticks of a second in `/proc`, fixed at 100 for programs.
const TICKS: u64 = 100;

/// Processor time of a process, in all its threads, including time in the kernel.
pub fn cpu_of(pid: u32) -> Option<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // After the name of the process, which may contain spaces, the 12th and 13th field.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let ticks: u64 = fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / TICKS))
}

/// Memory that a process holds, in MB.
pub fn memory_of(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<f64>().ok()? / 1000.0)
}

/// Ticks of some processors since the start: not idle, taken away by the host, and all.
#[derive(Clone, Copy, Default)]
pub struct Ticks {
    busy: u64,
    stolen: u64,
    all: u64,
}

impl Ticks {
    /// `None` if none are requested, or one does not exist.
    pub fn of(processors: &[usize]) -> Option<Self> {
        let stat = fs::read_to_string("/proc/stat").ok()?;
        let mut ticks = Self::default();
        for processor in processors {
            let name = format!("cpu{processor} ");
            let line = stat.lines().find_map(|line| line.strip_prefix(&name))?;
            let fields: Vec<u64> = line.split_whitespace().take(8).filter_map(|f| f.parse().ok()).collect();
            let [_, _, _, idle, waiting, _, _, stolen] = fields[..] else { return None };
            let all: u64 = fields.iter().sum();
            ticks.busy += all - idle - waiting;
            ticks.stolen += stolen;
            ticks.all += all;
        }
        (ticks.all > 0).then_some(ticks)
    }

    /// Of the ticks between the two, the shares that the processors were busy and that were stolen.
    pub fn shares_since(self, before: Self) -> (f64, f64) {
        let all = (self.all - before.all).max(1) as f64;
        ((self.busy - before.busy) as f64 / all, (self.stolen - before.stolen) as f64 / all)
    }
}

/// Datagrams dropped so far because the buffer of a socket on one of these ports was full.
pub fn drops_at(ports: &[u16]) -> u64 {
    let tables = ["/proc/net/udp", "/proc/net/udp6"].into_iter().filter_map(|t| fs::read_to_string(t).ok());
    let drops_in = |table: String| -> u64 {
        let of_line = |line: &str| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let port = u16::from_str_radix(fields.get(1)?.rsplit_once(':')?.1, 16).ok()?;
            ports.contains(&port).then(|| fields.get(12)?.parse::<u64>().ok()).flatten()
        };
        table.lines().skip(1).filter_map(of_line).sum()
    };
    tables.map(drops_in).sum()
}
