//! Whether processes believe what is true.

use pyroscope_memberlist::NodeState;

use super::host::Replica;
use super::{Network, octets};

impl<R: Replica> Network<R> {
    /// Tells whether each running process knows exactly the running ones as alive, at their present addresses.
    pub(crate) fn converged(&mut self) -> bool {
        self.disagreement().is_none()
    }

    /// Returns somebody's wrong belief.
    pub(crate) fn disagreement(&mut self) -> Option<String> {
        let running = self.running();
        let first = self.doubter.min(self.hosts.len() - 1);
        let order = std::iter::once(first).chain(running.iter().copied());
        let found = order.filter(|&host| self.runs(host)).find_map(|host| {
            self.wrong_belief(host, &running)
                .map(|belief| (host, belief))
        });
        let (host, belief) = found?;
        self.doubter = host;
        Some(format!("node-{host} thinks that {belief}"))
    }

    fn wrong_belief(&self, host: usize, running: &[usize]) -> Option<String> {
        let machine = &self.process(host).machine;
        for node in machine.members() {
            let other = octets(node.address.socket_addr()).host;
            let is_here = self.runs(other) && self.address(other) == node.address;
            match node.state {
                NodeState::Alive if !is_here => {
                    return Some(format!("{} is alive at {}", node.name, node.address));
                }
                NodeState::Suspect => return Some(format!("{} may be dead", node.name)),
                NodeState::Dead | NodeState::Left if is_here => {
                    return Some(format!("{} is {:?}", node.name, node.state));
                }
                _ => {}
            }
        }
        let known = machine.alive_count();
        (known != running.len()).then(|| format!("{known} of {} are alive", running.len()))
    }
}
