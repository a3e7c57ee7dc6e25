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

#[test]
#[ignore = "until docker-compose.yml is written"]
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
    ] {
        assert_eq!(found(broken).len(), 1, "{broken}: {:?}", found(broken));
    }
}
