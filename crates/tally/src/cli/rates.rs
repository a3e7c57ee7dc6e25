//! `tally rates …`

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Rates {
    /// Make a price book of another list's prices
    #[command(subcommand)]
    Import(Import),
    /// Publish price books, rate cards, plans or defaults
    #[command(
        after_help = "Examples:\n  tally rates publish card.toml\n  tally rates publish card.toml --dry-run\n\n\
        A version is never changed: publish another one with a later effective_from. Usage that no \
        price covered is charged by itself once a price is there."
    )]
    Publish(Publish),
    /// Which versions there are and which are in force; or one version's text
    #[command(
        after_help = "Examples:\n  tally rates show\n  tally rates show rate_card standard\n  tally rates show price_book vendors --version 2"
    )]
    Show(RatesShow),
    /// What an event would cost, by the same code that charges it
    #[command(after_help = "Examples:\n  tally rates quote event.json\n\n\
        FILE holds a usage event, or {\"feature\", \"items\": [...]} with account, time and traffic \
        as you like. - is standard input.")]
    Quote(Quote),
}

#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// From LiteLLM's model_prices_and_context_window.json
    #[command(
        after_help = "Examples:\n  tally rates import litellm model_prices.json > vendors.toml\n  \
        tally rates import litellm model_prices.json --effective-from 2026-11-01T00:00:00Z --publish\n\n\
        What of it a price book cannot say is listed on standard error."
    )]
    Litellm(Litellm),
}

#[derive(Args, Debug)]
pub(crate) struct Litellm {
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// From when the prices hold [default: now]
    #[arg(long, value_name = "TIME")]
    pub(crate) effective_from: Option<String>,
    /// The price book's id
    #[arg(long = "book", value_name = "ID", default_value = "vendors")]
    pub(crate) book: String,
    /// Publish the book instead of printing it
    #[arg(long)]
    pub(crate) publish: bool,
    #[command(flatten)]
    pub(crate) change: PublishOptions,
}

#[derive(Args, Debug)]
pub(crate) struct Publish {
    #[arg(required = true, value_name = "FILE.toml")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) options: PublishOptions,
}

#[derive(Args, Clone, Debug, Default)]
pub(crate) struct PublishOptions {
    /// Publish although usage already charged would be priced differently
    #[arg(long)]
    pub(crate) retroactive: bool,
    /// Check and measure, publish nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Why; recorded with the version
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
    /// Who; recorded with the version [env: TALLY_ACTOR] [default: your user name]
    #[arg(long, value_name = "NAME")]
    pub(crate) actor: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct RatesShow {
    /// price_book, rate_card, plan or defaults
    #[arg(requires = "id")]
    pub(crate) kind: Option<String>,
    pub(crate) id: Option<String>,
    /// A version of it; the one in force when not given
    #[arg(long, value_name = "N", requires = "id")]
    pub(crate) version: Option<u32>,
}

#[derive(Args, Debug)]
pub(crate) struct Quote {
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}
