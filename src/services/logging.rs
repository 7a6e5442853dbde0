//! Logs: on stderr, quiet unless asked. `RUST_LOG` wins over `-v`.

use tracing_subscriber::EnvFilter;

/// Starts logging; `verbose` is how often `-v` was given, `service` whether this is a long-running command.
pub fn init(verbose: u8, service: bool) {
    let level = match (verbose, service) {
        (0, false) => "error",
        (0, true) => "warn,holdfast=info",
        (1, _) => "info",
        _ => "debug",
    };
    let noisy = format!(
        "iroh=warn,iroh_relay=warn,iroh_relay::server::client=off,netwatch=error,portmapper=error,{}",
        holdfast_node::LOG_FILTER
    );
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("{level},{noisy}")));
    // A second call in one process (tests) changes nothing.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(verbose > 0)
        .try_init();
}
