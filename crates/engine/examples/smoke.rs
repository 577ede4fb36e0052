use std::os::fd::OwnedFd;
use warmfork_engine::*;
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<Vec<u8>> = std::env::args().skip(1).map(String::into_bytes).collect();
    let dup = |fd| -> OwnedFd { rustix::io::fcntl_dupfd_cloexec(fd, 10).unwrap() };
    let program = boot::Program {
        path: args[0].clone(),
        arguments: args,
        environment: std::env::vars().map(|(k, v)| format!("{k}={v}").into_bytes()).collect(),
        cwd: std::env::current_dir()?.to_str().unwrap().into(),
        rules: warmfork_linux::policy::Rules::everything(),
        limits: Default::default(),
        stdio: [dup(rustix::stdio::stdin()), dup(rustix::stdio::stdout()), dup(rustix::stdio::stderr())],
    };
    let mut machine = boot(program)?;
    let outcome = machine.run(&Until { ready: std::env::var_os("READY").is_some(), ..Until::default() })?;
    eprintln!("{outcome:?} {:?}", machine.counters);
    let mut u: Vec<_> = machine.host().unknown_calls.iter().collect();
    u.sort();
    eprintln!("unknown {u:?}");
    if outcome == Outcome::Ready {
        let s = Snapshot::freeze(machine)?;
        eprintln!("{:?}", s.info());
        let t = std::time::Instant::now();
        let mut f = s.fork()?;
        eprintln!("fork {:?}", t.elapsed());
        eprintln!("{:?}", f.run(&Until { ready: true, ..Until::default() }));
        for _ in 0..3 {
            let t = std::time::Instant::now();
            eprintln!("{:?} {:?}", f.reset(), t.elapsed());
            eprintln!("{:?}", f.resets);
            f.run(&Until { ready: true, ..Until::default() })?;
        }
    }
    Ok(())
}
