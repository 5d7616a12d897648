pub use clap::Args;
#[derive(Args)]
pub struct Arguments {}
pub fn main(_: &Arguments) -> anyhow::Result<()> { Ok(()) }
