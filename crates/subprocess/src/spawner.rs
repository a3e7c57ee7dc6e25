//! Starting a child whose life is bound to this whole process.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

struct Order {
    command: Command,
    reply: Sender<io::Result<Child>>,
}

/// Starts `command` so that it is killed when this process ends, however it ends (Linux; elsewhere a child that is not
/// dropped outlives a parent that was killed).
///
/// The kernel binds a child's death to the *thread* that forked it, not to the process (prctl(2), PR_SET_PDEATHSIG), and a
/// test's thread ends with the test. So one thread that never ends does all the forking.
///
/// The child gets a process group of its own: Ctrl-C at the terminal reaches us alone, and we decide the order of the end.
pub(crate) fn spawn(mut command: Command) -> io::Result<Child> {
    bind_to_parent(&mut command);
    let (reply, answer) = channel();
    let gone = || io::Error::other("the thread that starts servers is gone");
    spawner().send(Order { command, reply }).map_err(|_| gone())?;
    answer.recv().map_err(|_| gone())?
}

fn spawner() -> &'static Sender<Order> {
    static SPAWNER: OnceLock<Sender<Order>> = OnceLock::new();
    SPAWNER.get_or_init(|| {
        let (orders, queue) = channel::<Order>();
        let thread = thread::Builder::new().name("server-spawner".into()).spawn(move || {
            for mut order in queue {
                // An asker that has gone drops the child's handle, and nobody waits for it.
                if let Err(unclaimed) = order.reply.send(order.command.spawn())
                    && let Ok(mut child) = unclaimed.0
                {
                    drop(child.kill());
                }
            }
        });
        // Without a thread the queue is dropped, and every order is answered with the error above.
        drop(thread);
        orders
    })
}

#[cfg(unix)]
fn bind_to_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
    #[cfg(target_os = "linux")]
    {
        let parent = std::process::id();
        // SAFETY: between fork and exec only async-signal-safe calls are made: prctl, getppid, and building an error from
        // an errno.
        unsafe {
            command.pre_exec(move || {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                    return Err(io::Error::last_os_error());
                }
                // The parent may have died before the line above.
                if libc::getppid() as u32 != parent {
                    return Err(io::Error::from_raw_os_error(libc::ESRCH));
                }
                Ok(())
            });
        }
    }
}
