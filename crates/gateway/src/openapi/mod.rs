//! The API's description (OpenAPI 3.1), made from the code: the paths, methods and roles are those of
//! the router's own table, the reason codes those of [`domain::REASONS`]. A route without a
//! description here, or a description without a route, fails a test.

mod operations;
mod schemas;

use std::sync::OnceLock;

use access::Role;
use axum::http::Method;
use axum::response::Response;
use domain::REASONS;
use serde_json::{Map, Value, json};

use crate::RouteRow;
use operations::{Body, OPERATIONS, Operation};
use schemas::{Field, SCHEMAS, Shape};

pub(crate) async fn get() -> Response {
    static TEXT: OnceLock<Value> = OnceLock::new();
    let document = TEXT.get_or_init(|| document(&crate::route_table()));
    crate::routes::json(axum::http::StatusCode::OK, document)
}

/// The description of the routes in a table.
pub fn document(rows: &[RouteRow]) -> Value {
    let mut paths = Map::new();
    for row in rows {
        let Some(operation) = operation_of(row) else { continue };
        let path = paths.entry(row.path).or_insert_with(|| json!({}));
        path[row.method.as_str().to_lowercase()] = describe(row, operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "tally",
            "version": "v1",
            "description": "Meters AI usage and turns it into credits. Amounts are decimal strings, \
                times RFC 3339 in UTC. Errors are application/problem+json with a stable `type`.",
        },
        "security": [{ "key": [] }],
        "paths": paths,
        "components": {
            "securitySchemes": { "key": {
                "type": "http", "scheme": "bearer",
                "description": "An API key. Its role says what it may do; it may be bound to accounts, \
                    sources and traffic classes.",
            }},
            "schemas": schemas(),
        },
    })
}

/// Routes that nobody described, and descriptions that no route has.
pub fn undescribed(rows: &[RouteRow]) -> Vec<String> {
    let without = rows
        .iter()
        .filter(|row| operation_of(row).is_none())
        .map(|row| format!("{} {} has no description", row.method, row.path));
    let has_row = |operation: &Operation| {
        let method = operation.method;
        rows.iter().any(|row| row.method.as_str() == method && row.path == operation.path)
    };
    let stray = OPERATIONS
        .iter()
        .filter(|operation| !has_row(operation))
        .map(|operation| format!("{} {} has no route", operation.method, operation.path));
    without.chain(stray).collect()
}

fn operation_of(row: &RouteRow) -> Option<&'static Operation> {
    OPERATIONS
        .iter()
        .find(|operation| operation.method == row.method.as_str() && operation.path == row.path)
}

fn describe(row: &RouteRow, operation: &Operation) -> Value {
    let roles: Vec<&str> = row.roles.iter().copied().map(Role::word).collect();
    let needs = match roles.as_slice() {
        [] => "Needs no key.".to_owned(),
        roles => format!("Roles: {}.", roles.join(", ")),
    };
    let mut described = json!({
        "summary": operation.summary,
        "description": format!("{needs} {}", operation.about).trim_end(),
        "parameters": parameters(row, operation),
        "responses": responses(row, operation),
    });
    if roles.is_empty() {
        described["security"] = json!([]);
    }
    match operation.request {
        Body::None => {}
        Body::Of(schema) => {
            let content = json!({ "application/json": { "schema": reference(schema) } });
            described["requestBody"] = json!({ "required": true, "content": content });
        }
        Body::Events => {
            let one = json!({ "schema": reference("UsageEvent") });
            let many = json!({ "schema": { "type": "array", "items": reference("UsageEvent") } });
            let text = json!({ "schema": { "type": "string" } });
            let content = json!({
                "application/cloudevents+json": one,
                "application/cloudevents-batch+json": many,
                "application/json": many,
                "application/x-ndjson": text,
            });
            described["requestBody"] = json!({ "required": true, "content": content });
        }
        Body::Lines => {
            let content = json!({ "application/x-ndjson": { "schema": { "type": "string" } } });
            described["requestBody"] = json!({ "required": true, "content": content });
        }
    }
    described
}

fn parameters(row: &RouteRow, operation: &Operation) -> Value {
    let named = row.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let text = json!({ "type": "string" });
    let mut all: Vec<Value> = named
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": text }))
        .collect();
    all.extend(operation.query.iter().map(|(name, about)| {
        json!({ "name": name, "in": "query", "description": about, "schema": text })
    }));
    if operation.idempotent {
        all.push(json!({
            "name": "Idempotency-Key", "in": "header", "schema": text,
            "description": "The same key and body repeats the first answer; the same key with \
                another body is 409. One is made and returned when absent.",
        }));
    }
    if matches!(operation.request, Body::Events) {
        all.push(json!({
            "name": "Prefer", "in": "header", "schema": text,
            "description": "`wait=5`: answer with what became of each event, after 5 s at most.",
        }));
    }
    all.into()
}

fn responses(row: &RouteRow, operation: &Operation) -> Value {
    let mut all = Map::new();
    for (status, schema, about) in operation.answers {
        let content = match *schema {
            "" => json!({}),
            "text" => json!({ "text/plain": { "schema": { "type": "string" } } }),
            schema => json!({ "application/json": { "schema": reference(schema) } }),
        };
        all.insert(status.to_string(), json!({ "description": about, "content": content }));
    }
    let problem = |about: &str| {
        let content = json!({ "application/problem+json": { "schema": reference("Problem") } });
        json!({ "description": about, "content": content })
    };
    for (status, about) in operation.refusals {
        all.insert(status.to_string(), problem(about));
    }
    if !row.roles.is_empty() {
        all.insert("401".to_owned(), problem("No key, or one that is not valid."));
        all.insert("403".to_owned(), problem("The key may not do this, or not there."));
    }
    if row.method != Method::GET || !operation.query.is_empty() {
        all.insert("422".to_owned(), problem("A field is wrong; `field` names it."));
    }
    Value::Object(all)
}

fn schemas() -> Value {
    let mut all: Map<String, Value> =
        SCHEMAS.iter().map(|(name, fields)| ((*name).to_owned(), object(fields))).collect();
    let codes: Vec<&str> = REASONS.iter().map(|row| row.code).collect();
    all.insert(
        "ReasonCode".to_owned(),
        json!({ "type": "string", "enum": codes, "description": "Every code is in docs/reasons.md." }),
    );
    Value::Object(all)
}

fn object(fields: &[Field]) -> Value {
    let properties: Map<String, Value> =
        fields.iter().map(|field| (field.name.to_owned(), property(field))).collect();
    let required: Vec<&str> =
        fields.iter().filter(|field| field.required).map(|field| field.name).collect();
    json!({ "type": "object", "properties": properties, "required": required })
}

fn property(field: &Field) -> Value {
    let mut schema = shape(&field.shape);
    if !field.about.is_empty() {
        schema["description"] = field.about.into();
    }
    schema
}

fn shape(of: &Shape) -> Value {
    match of {
        Shape::Text => json!({ "type": "string" }),
        Shape::Amount => json!({
            "type": "string", "pattern": r"^-?\d{1,16}(\.\d{1,12})?$", "examples": ["12.5"],
        }),
        Shape::Time => json!({ "type": "string", "format": "date-time" }),
        Shape::Count => json!({ "type": "integer" }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Words(words) => json!({ "type": "string", "enum": words }),
        Shape::Of(schema) => reference(schema),
        Shape::Many(schema) => json!({ "type": "array", "items": reference(schema) }),
        Shape::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Shape::Counts => json!({ "type": "array", "items": { "type": "integer" } }),
        Shape::Any => json!({ "type": "object" }),
        Shape::Anys => json!({ "type": "array", "items": { "type": "object" } }),
        Shape::OrNull(inner) => json!({ "anyOf": [shape(inner), { "type": "null" }] }),
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_route_is_described_and_nothing_else() {
        assert_eq!(undescribed(&crate::route_table()), Vec::<String>::new());
    }

    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value.as_str() {
                        Some(text) if name == "$ref" => found.push(text.to_owned()),
                        Some(_) | None => references(value, found),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn what_is_referred_to_is_there() {
        let document = document(&crate::route_table());
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 50, "{}", found.len());
        for reference in found {
            let pointer = reference.trim_start_matches('#');
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    /// docs/api.md and docs/openapi.json; `UPDATE_DOCS=1` writes them anew.
    #[test]
    fn the_reference_is_the_one_in_the_docs() {
        let document = document(&crate::route_table());
        let docs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        let json = serde_json::to_string_pretty(&document).unwrap() + "\n";
        for (name, text) in [("openapi.json", json), ("api.md", reference_page(&document))] {
            let file = docs.join(name);
            if std::env::var_os("UPDATE_DOCS").is_some() {
                std::fs::write(&file, &text).unwrap();
            }
            let found = std::fs::read_to_string(&file).unwrap_or_default();
            assert!(found == text, "docs/{name} is old: run with UPDATE_DOCS=1");
        }
    }

    /// For people, from the document alone.
    fn reference_page(document: &Value) -> String {
        use std::fmt::Write;
        let mut page = "# The HTTP API\n\nMade from `/openapi.json`, which a running tally serves. \
            Amounts are decimal strings, times RFC 3339 in UTC; errors are `application/problem+json` \
            with a stable `type` ([reason codes](reasons.md)).\n"
            .to_owned();
        for (path, methods) in document["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let method = method.to_uppercase();
                let summary = operation["summary"].as_str().unwrap();
                let about = operation["description"].as_str().unwrap();
                writeln!(page, "\n## {method} {path}\n\n{summary}. {about}").unwrap();
                for parameter in operation["parameters"].as_array().unwrap() {
                    if let Some(about) = parameter["description"].as_str() {
                        let (name, place) = (&parameter["name"], &parameter["in"]);
                        let (name, place) = (name.as_str().unwrap(), place.as_str().unwrap());
                        writeln!(page, "\n- `{name}` ({place}): {about}").unwrap();
                    }
                }
                let body =
                    &operation["requestBody"]["content"]["application/json"]["schema"]["$ref"];
                if let Some(name) = body.as_str().and_then(|body| body.rsplit('/').next()) {
                    writeln!(page, "\nBody: [{name}](#{})", name.to_lowercase()).unwrap();
                }
                let answers = operation["responses"].as_object().unwrap();
                writeln!(page, "\n| answer | |\n|---|---|").unwrap();
                for (status, answer) in answers {
                    let about = answer["description"].as_str().unwrap();
                    let of = &answer["content"]["application/json"]["schema"]["$ref"];
                    let of = of.as_str().and_then(|of| of.rsplit('/').next());
                    let of =
                        of.map_or(String::new(), |of| format!(" [{of}](#{})", of.to_lowercase()));
                    writeln!(page, "| {status} | {about}{of} |").unwrap();
                }
            }
        }
        writeln!(page, "\n# Bodies").unwrap();
        for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
            let Some(fields) = schema["properties"].as_object() else { continue };
            writeln!(page, "\n### {name}\n\n| field | |\n|---|---|").unwrap();
            let required = schema["required"].as_array().unwrap();
            for (field, shape) in fields {
                let about = shape["description"].as_str().unwrap_or_default();
                let must =
                    if required.iter().any(|name| name == field) { "" } else { " (optional)" };
                writeln!(page, "| `{field}`{must} | {about} |").unwrap();
            }
        }
        page
    }
}
