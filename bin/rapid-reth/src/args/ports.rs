//! Several nodes on one host.

use std::path::PathBuf;

use clap::Args;

/// Shifts every default port and path.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct PortArgs {
    /// Number of this node on the host, from 1 to 200: shifts the HTTP port by -(n-1), WS by +2(n-1), the Engine API by
    /// +100(n-1), and appends -n to the IPC path.
    #[arg(long, value_name = "INSTANCE", global = true, value_parser = clap::value_parser!(u16).range(1..=200))]
    pub(crate) instance: Option<u16>,

    /// Let the system choose every port, and add a random suffix to the IPC path. The start-up lines say what was chosen.
    #[arg(long, global = true, conflicts_with = "instance")]
    pub(crate) with_unused_ports: bool,
}

/// The ports and the IPC path after the shift.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ports {
    /// HTTP.
    pub(crate) http: u16,
    /// WebSocket.
    pub(crate) ws: u16,
    /// Engine API.
    pub(crate) auth: u16,
    /// IPC socket.
    pub(crate) ipc: PathBuf,
}

impl PortArgs {
    /// Applies the shift to the values from the flags.
    pub(crate) fn adjust(self, ports: Ports) -> Ports {
        if self.with_unused_ports {
            let ipc = append(&ports.ipc, &random_suffix());
            return Ports {
                http: 0,
                ws: 0,
                auth: 0,
                ipc,
            };
        }
        let Some(instance) = self.instance else {
            return ports;
        };
        let step = instance - 1;
        Ports {
            http: ports.http.wrapping_sub(step),
            ws: ports.ws.wrapping_add(step * 2),
            auth: ports.auth.wrapping_add(step * 100),
            ipc: append(&ports.ipc, &instance.to_string()),
        }
    }
}

fn append(path: &std::path::Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-");
    name.push(suffix);
    name.into()
}

/// Differs between processes and between starts; nothing depends on it being secret.
fn random_suffix() -> String {
    use std::hash::{BuildHasher, Hasher, RandomState};
    format!("{:016x}", RandomState::new().build_hasher().finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Ports {
        Ports {
            http: 8545,
            ws: 8546,
            auth: 8551,
            ipc: "/tmp/reth.ipc".into(),
        }
    }

    #[test]
    fn the_first_instance_keeps_the_ports_and_later_ones_move() {
        let at = |instance| {
            PortArgs {
                instance,
                with_unused_ports: false,
            }
            .adjust(defaults())
        };
        assert_eq!(at(None), defaults());
        assert_eq!(
            at(Some(1)),
            Ports {
                ipc: "/tmp/reth.ipc-1".into(),
                ..defaults()
            }
        );
        assert_eq!(
            at(Some(3)),
            Ports {
                http: 8543,
                ws: 8550,
                auth: 8751,
                ipc: "/tmp/reth.ipc-3".into()
            }
        );
        assert_eq!(at(Some(200)).auth, 8551 + 19_900);
    }

    #[test]
    fn unused_ports_are_zero_and_two_starts_have_two_paths() {
        let args = PortArgs {
            instance: None,
            with_unused_ports: true,
        };
        let (first, second) = (args.adjust(defaults()), args.adjust(defaults()));
        assert_eq!((first.http, first.ws, first.auth), (0, 0, 0));
        assert_ne!(first.ipc, second.ipc);
    }
}
