//! The ceiling: a bare loop that receives a batch and sends each packet back, as long as asked.

use std::io;
use std::net::SocketAddr;
use std::thread;

use clap::Args;

use crate::batch::{self, Batch, Wait};

#[derive(Args)]
pub struct Echo {
    /// Address to listen on
    #[arg(long)]
    listen: SocketAddr,
    /// Octets of each reply: the query, truncated or padded with old data
    #[arg(long, default_value_t = 100)]
    reply_size: usize,
    /// Threads, each with a socket of its own
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Datagrams per call
    #[arg(long, default_value_t = 64)]
    batch: usize,
}

pub fn run(echo: &Echo) -> io::Result<()> {
    let sockets = (0..echo.threads).map(|_| batch::bind(echo.listen)).collect::<io::Result<Vec<_>>>()?;
    thread::scope(|scope| {
        let threads: Vec<_> = sockets
            .iter()
            .map(|socket| {
                scope.spawn(move || -> io::Result<()> {
                    let mut batch = Batch::new(echo.batch, 512, true);
                    loop {
                        let received = batch.receive(socket, Wait::First)?;
                        for slot in 0..received {
                            if let Some(flags) = batch.space(slot).get_mut(2) {
                                *flags |= 0x80;
                            }
                            batch.set_len(slot, echo.reply_size);
                        }
                        batch.send_back(socket, received)?;
                    }
                })
            })
            .collect();
        threads.into_iter().try_for_each(|thread| thread.join().unwrap())
    })
}
