use super::*;
use clap::CommandFactory;

fn parse(line: &str) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(line.split(' '))
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn every_command_says_what_it_does() {
    fn check(command: &clap::Command) {
        for inner in command.get_subcommands() {
            assert!(inner.get_about().is_some(), "{}", inner.get_name());
            check(inner);
        }
    }
    check(&Cli::command());
}

#[test]
fn examples_of_the_format_page_parse() {
    for line in [
        "tally up --data DIR",
        "tally demo --exit",
        "tally run charger",
        "tally topics create",
        "tally ingest a.jsonl b.jsonl --wait",
        "tally rates import litellm prices.json --effective-from 2026-01-01T00:00:00Z --publish",
        "tally rates publish a.toml b.toml --retroactive --dry-run",
        "tally rates show",
        "tally rates quote event.json",
        "tally grant acct_42 1000 --category purchased --paid 10.00 --currency USD --priority 10",
        "tally adjust acct_42 -5 --reason mistake",
        "tally void acct_42 7 --reason cancelled",
        "tally balance acct_42 --json",
        "tally usage --account acct_42 --by feature,model --top 5",
        "tally explain /chat/eu-1 req_8f2c --url http://127.0.0.1:1",
        "tally sql SELECT",
        "tally schema usage_lines",
        "tally export --format parquet",
        "tally status --watch",
        "tally verify",
        "tally verify --deep --from 2026-11-01T00:00:00Z --rate 5000 --every 10",
        "tally replay raw --partition 3 --from-seal 8000 --catalogue newest --output report.json",
        "tally replay plan --table usage_daily --out plan.toml --why ticket",
        "tally replay plan --partition 3 --from-offset 0 --to-offset 10",
        "tally replay apply plan.toml",
        "tally replay diff --json --exit-code",
        "tally replay swap --accept-differences 4f0c61d2a9b83e57 --yes",
        "tally replay swap --back",
        "tally replay abort --yes",
        "tally replay drop --yes",
        "tally replay status",
        "tally key create --name n --role producer --source /s --traffic internal --traffic test",
        "tally key create --name n --role app --account a --account b --expires 2027-01-01T00:00:00Z",
        "tally key list --json --key-file k",
        "tally key rotate 7wq2m4x9t0ab --overlap 1h",
        "tally key revoke 7wq2m4x9t0ab",
        "tally clickhouse-server --library L --directory D",
    ] {
        parse(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    }
}

#[test]
fn json_may_stand_before_and_after_the_command() {
    assert!(parse("tally --json status").unwrap().global.json);
    assert!(parse("tally status --json").unwrap().global.json);
}

#[test]
fn a_webhooks_address_is_not_tallys() {
    let cli = parse("tally --url http://a:1 webhook add https://b/hook").unwrap();
    assert_eq!(cli.global.url.as_deref(), Some("http://a:1"));
    let shown = format!("{:?}", cli.command);
    assert!(shown.contains("https://b/hook"), "{shown}");
}

#[test]
fn wrong_usage_is_refused() {
    for line in [
        "tally",
        "tally adjust acct_42 5",
        "tally void acct_42 7",
        "tally grant acct_42 10",
        "tally grant acct_42 10 --category purchased --paid 1",
        "tally grant acct_42 10 --category free",
        "tally ingest",
        "tally verify --rate 5",
        "tally run everything",
    ] {
        assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
    }
}
