//! Avro's JSON encoding, by the schema's own JSON. Source: Apache Avro 1.12, "JSON Encoding".

use std::collections::HashMap;

use apache_avro::Decimal;
use apache_avro::types::Value;
use serde_json::{Map, Value as Json, json};

/// A schema with its named types.
pub(super) struct AvroJson<'s> {
    schema: &'s Json,
    namespace: &'s str,
    names: HashMap<&'s str, &'s Json>,
}

impl<'s> AvroJson<'s> {
    pub(super) fn new(schema: &'s Json) -> Self {
        let mut names = HashMap::new();
        collect_names(schema, &mut names);
        Self { schema, namespace: schema["namespace"].as_str().unwrap(), names }
    }

    pub(super) fn write(&self, value: &Value) -> Json {
        self.to_json(self.schema, value)
    }

    pub(super) fn read(&self, json: &Json) -> Value {
        self.to_value(self.schema, json)
    }

    fn resolve(&self, schema: &'s Json) -> &'s Json {
        schema.as_str().and_then(|name| self.names.get(name).copied()).unwrap_or(schema)
    }

    fn kind(&self, schema: &'s Json) -> &'s str {
        let schema = self.resolve(schema);
        schema.as_str().or_else(|| schema["type"].as_str()).unwrap_or("union")
    }

    /// The name that stands before a value of a union.
    fn tag(&self, branch: &'s Json) -> String {
        match self.resolve(branch)["name"].as_str() {
            Some(name) => format!("{}.{name}", self.namespace),
            None => self.kind(branch).to_owned(),
        }
    }

    fn to_json(&self, schema: &'s Json, value: &Value) -> Json {
        let schema = self.resolve(schema);
        match value {
            Value::Null => Json::Null,
            Value::Boolean(flag) => json!(flag),
            Value::Int(int) => json!(int),
            Value::Long(long) | Value::TimestampMicros(long) => json!(long),
            Value::String(text) | Value::Enum(_, text) => json!(text),
            Value::Bytes(bytes) | Value::Fixed(_, bytes) => json!(latin(bytes)),
            Value::Decimal(decimal) => json!(latin(&Vec::<u8>::try_from(decimal).unwrap())),
            Value::Array(elements) => {
                elements.iter().map(|element| self.to_json(&schema["items"], element)).collect()
            }
            Value::Map(members) => Json::Object(
                members
                    .iter()
                    .map(|(name, value)| (name.clone(), self.to_json(&schema["values"], value)))
                    .collect(),
            ),
            Value::Record(values) => {
                let fields = schema["fields"].as_array().unwrap();
                let members = fields.iter().zip(values).map(|(field, (name, value))| {
                    assert_eq!(field["name"], *name);
                    (name.clone(), self.to_json(&field["type"], value))
                });
                Json::Object(members.collect())
            }
            Value::Union(branch, value) => match &schema[*branch as usize] {
                Json::String(null) if null == "null" => Json::Null,
                branch => {
                    Json::Object(Map::from_iter([(self.tag(branch), self.to_json(branch, value))]))
                }
            },
            other => panic!("{other:?} stands in none of our schemas"),
        }
    }

    fn to_value(&self, schema: &'s Json, json: &Json) -> Value {
        let schema = self.resolve(schema);
        let text = || json.as_str().unwrap().to_owned();
        match (self.kind(schema), schema["logicalType"].as_str()) {
            ("null", _) => Value::Null,
            ("boolean", _) => Value::Boolean(json.as_bool().unwrap()),
            ("int", _) => Value::Int(json.as_i64().unwrap().try_into().unwrap()),
            ("long", None) => Value::Long(json.as_i64().unwrap()),
            ("long", Some("timestamp-micros")) => Value::TimestampMicros(json.as_i64().unwrap()),
            ("string", _) => Value::String(text()),
            ("bytes", None) => Value::Bytes(from_latin(&text())),
            ("bytes", Some("decimal")) => Value::Decimal(Decimal::from(from_latin(&text()))),
            ("fixed", _) => {
                let bytes = from_latin(&text());
                Value::Fixed(bytes.len(), bytes)
            }
            ("enum", _) => {
                let symbols = schema["symbols"].as_array().unwrap();
                let place = symbols.iter().position(|symbol| symbol == json).unwrap();
                Value::Enum(place.try_into().unwrap(), text())
            }
            ("array", _) => Value::Array(
                json.as_array()
                    .unwrap()
                    .iter()
                    .map(|element| self.to_value(&schema["items"], element))
                    .collect(),
            ),
            ("map", _) => Value::Map(
                json.as_object()
                    .unwrap()
                    .iter()
                    .map(|(name, value)| (name.clone(), self.to_value(&schema["values"], value)))
                    .collect(),
            ),
            ("record", _) => {
                let fields = schema["fields"].as_array().unwrap();
                let json = json.as_object().unwrap();
                assert_eq!(fields.len(), json.len(), "{json:?}");
                let value = |field: &'s Json| {
                    let name = field["name"].as_str().unwrap();
                    let json = json.get(name).unwrap_or_else(|| panic!("no {name}"));
                    (name.to_owned(), self.to_value(&field["type"], json))
                };
                Value::Record(fields.iter().map(value).collect())
            }
            ("union", _) => {
                let branches = schema.as_array().unwrap();
                let (tag, json) = match json {
                    Json::Null => ("null", json),
                    json => {
                        let (tag, json) = json.as_object().unwrap().iter().next().unwrap();
                        (tag.as_str(), json)
                    }
                };
                let place = branches.iter().position(|branch| self.tag(branch) == tag);
                let place = place.unwrap_or_else(|| panic!("no branch {tag}"));
                let value = self.to_value(&branches[place], json);
                Value::Union(place.try_into().unwrap(), Box::new(value))
            }
            other => panic!("{other:?} stands in none of our schemas"),
        }
    }
}

fn collect_names<'s>(schema: &'s Json, names: &mut HashMap<&'s str, &'s Json>) {
    // A field has a name as well; its type is never one of these words.
    if matches!(schema["type"].as_str(), Some("record" | "enum" | "fixed")) {
        names.insert(schema["name"].as_str().unwrap(), schema);
    }
    match schema {
        Json::Array(elements) => elements.iter().for_each(|one| collect_names(one, names)),
        Json::Object(members) => members.values().for_each(|one| collect_names(one, names)),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
    }
}

fn latin(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn from_latin(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(letter).unwrap()).collect()
}
