//! SIGTERM and Ctrl-C: the first one drains, a second one ends the process at once. SIGHUP reads the pipeline again.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The two signals, listened to from the moment this exists.
#[derive(Debug)]
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// Of those who can read the pipeline again; for all others it ends the process, as ever.
    hang_up: Option<Signal>,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// To end; the signal's name.
    End(&'static str),
    /// To read the pipeline again.
    Reload,
}

impl Signals {
    /// Starts listening; the default action, ending the process, is off from here on.
    ///
    /// # Errors
    /// When the system refuses the handler.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: None,
        })
    }

    /// Listens to SIGHUP too.
    ///
    /// # Errors
    /// When the system refuses the handler.
    pub fn with_reload(self) -> std::io::Result<Self> {
        Ok(Self { hang_up: Some(signal(SignalKind::hangup())?), ..self })
    }

    /// The next signal of any kind.
    pub async fn any(&mut self) -> Asked {
        let hang_up = async {
            match &mut self.hang_up {
                Some(signal) => signal.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Asked::End("Ctrl-C"),
            _ = self.terminate.recv() => Asked::End("SIGTERM"),
            _ = hang_up => Asked::Reload,
        }
    }

    /// The name of the next signal to end.
    pub async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.interrupt.recv() => "Ctrl-C",
            _ = self.terminate.recv() => "SIGTERM",
        }
    }
}
