//! `docker-compose.yml`, as far as it can be checked without an engine: it is YAML, and what it refers to is there. That the
//! images exist and the services come up is not checked.

// Clippy knows a test function as a test, but not what it calls.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::path::Path;

use yaml_rust2::{Yaml, YamlLoader};

/// What is wrong with the file, in words.
fn faults(text: &str, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let documents = match YamlLoader::load_from_str(text) {
        Ok(documents) => documents,
        Err(error) => return vec![error.to_string()],
    };
    let [document] = documents.as_slice() else { return vec!["not one document".to_owned()] };
    let Some(services) = document["services"].as_hash() else {
        return vec!["no services".to_owned()];
    };
    let named_volume = |name: &str| {
        document["volumes"].as_hash().is_some_and(|all| all.contains_key(&text_of(name)))
    };
    let mut faults = Vec::new();
    for (name, service) in services {
        let name = name.as_str().unwrap_or("?");
        if service["image"].is_badvalue() && service["build"].is_badvalue() {
            faults.push(format!("{name}: neither an image nor a build"));
        }
        if service["image"]
            .as_str()
            .is_some_and(|image| image.ends_with(":latest") || !image.contains(':'))
        {
            faults.push(format!("{name}: an image without a version"));
        }
        for other in names_in(&service["depends_on"]) {
            if !services.contains_key(&text_of(&other)) {
                faults.push(format!("{name}: depends on {other}, which is no service"));
            }
        }
        for (other, needs) in entries(&service["depends_on"]) {
            let healthcheck = &document["services"][other.as_str()]["healthcheck"];
            if needs["condition"].as_str() == Some("service_healthy") && healthcheck.is_badvalue() {
                faults.push(format!("{name}: waits for {other}, which has no health check"));
            }
        }
        for port in names_in(&service["ports"]) {
            if !port.starts_with("127.0.0.1:") {
                faults.push(format!("{name}: port {port} is open to other machines"));
            }
        }
        for volume in names_in(&service["volumes"]) {
            let source = volume.split(':').next().unwrap_or_default();
            match source.starts_with(['.', '/']) {
                true if !exists(source) => faults.push(format!("{name}: {source} does not exist")),
                false if !named_volume(source) => {
                    faults.push(format!("{name}: volume {source} is not declared"))
                }
                true | false => {}
            }
        }
    }
    faults
}

fn text_of(name: &str) -> Yaml {
    Yaml::String(name.to_owned())
}

/// The items of a list, or the keys of a map.
fn names_in(value: &Yaml) -> Vec<String> {
    let items: Vec<&Yaml> = match value {
        Yaml::Array(items) => items.iter().collect(),
        Yaml::Hash(map) => map.keys().collect(),
        _ => Vec::new(),
    };
    items.iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

/// The entries of a map; none of a list.
fn entries(value: &Yaml) -> Vec<(String, &Yaml)> {
    let map = value.as_hash().into_iter().flatten();
    map.filter_map(|(name, value)| Some((name.as_str()?.to_owned(), value))).collect()
}

#[test]
fn what_the_file_refers_to_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = fs::read_to_string(root.join("docker-compose.yml")).unwrap();
    assert_eq!(faults(&text, |path| root.join(path).exists()), Vec::<String>::new());
}

#[test]
fn faults_are_noticed() {
    let found = |text: &str| faults(text, |path| path == "./there");
    assert_eq!(
        found(
            "services: {a: {image: 'x:1', depends_on: [b], volumes: ['./there:/t', 'v:/v']}, b: {build: .}}\nvolumes: {v: }"
        ),
        Vec::<String>::new()
    );
    for broken in [
        "services: [",
        "volumes: {}",
        "services: {a: {command: x}}",
        "services: {a: {image: x}}",
        "services: {a: {image: 'x:latest'}}",
        "services: {a: {image: 'x:1', depends_on: {b: {condition: service_started}}}}",
        "services: {a: {image: 'x:1', volumes: ['./gone:/t']}}",
        "services: {a: {image: 'x:1', volumes: ['v:/t']}}",
        "services: {a: {image: 'x:1', ports: ['80:80']}}",
        "services: {a: {image: 'x:1', depends_on: {b: {condition: service_healthy}}}, b: {build: .}}",
    ] {
        assert_eq!(found(broken).len(), 1, "{broken}: {:?}", found(broken));
    }
}

/// Prometheus asks the services by the names that they have here.
#[test]
fn what_prometheus_scrapes_is_a_service() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| {
        let text = fs::read_to_string(root.join(path)).unwrap();
        YamlLoader::load_from_str(&text).unwrap().remove(0)
    };
    let (compose, prometheus) = (read("docker-compose.yml"), read("ops/prometheus/prometheus.yml"));
    let mut scraped = 0;
    for job in prometheus["scrape_configs"].as_vec().unwrap() {
        for group in job["static_configs"].as_vec().unwrap() {
            for target in names_in(&group["targets"]) {
                let service = target.split(':').next().unwrap();
                assert!(!compose["services"][service].is_badvalue(), "{target} is no service");
                scraped += 1;
            }
        }
    }
    assert!(scraped > 0);
}

/// A variable that tally does not know is ignored, or refused when it looks misspelt: neither is what the file meant.
#[test]
fn what_is_set_for_tally_is_a_setting() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let settings = fs::read_to_string(root.join("crates/tally/src/settings.rs")).unwrap();
    let known: Vec<String> = settings
        .split("key(")
        .filter_map(|definition| definition.trim_start().strip_prefix('"')?.split_once('"'))
        .map(|(name, _)| format!("TALLY_{}", name.replace('.', "_").to_uppercase()))
        .collect();
    let mut set = 0;
    for file in ["docker-compose.yml", "README.md", "docs/getting-started.md", "ops/README.md"] {
        let text = fs::read_to_string(root.join(file)).unwrap();
        let words =
            text.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
        for variable in words.filter(|word| word.starts_with("TALLY_") && *word != "TALLY_") {
            assert!(known.iter().any(|name| name == variable), "{file}: {variable} is no setting");
            set += 1;
        }
    }
    assert!(set > 0);
}
