//! Time zones by their IANA names.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use jiff::tz::{TimeZone, TimeZoneDatabase};

/// A time zone by its IANA name. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// A text that is no zone's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is not a time zone of the IANA database, such as \"Europe/Berlin\" or \"UTC\"")]
pub struct UnknownZone {
    pub name: String,
}

impl Zone {
    pub fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// The name as the database writes it.
    pub fn name(&self) -> &str {
        // Only zones that have a name are made; UTC is also what jiff calls the zone without one.
        self.0.iana_name().unwrap_or("UTC")
    }

    pub(crate) fn rules(&self) -> &TimeZone {
        &self.0
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::utc()
    }
}

/// Takes the names of the database only, in any case: no POSIX strings, no offsets, no empty text.
impl FromStr for Zone {
    type Err = UnknownZone;

    fn from_str(name: &str) -> Result<Self, UnknownZone> {
        // The bundled database, whatever other databases the program could find.
        TimeZoneDatabase::bundled()
            .get(name)
            .ok()
            .filter(|zone| zone.iana_name().is_some() && !zone.is_unknown())
            .map(Self)
            .ok_or_else(|| UnknownZone { name: name.to_owned() })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl serde::Serialize for Zone {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for Zone {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = <Cow<'de, str>>::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_database() {
        for (text, name) in [
            ("UTC", "UTC"),
            ("utc", "UTC"),
            ("Europe/Berlin", "Europe/Berlin"),
            ("america/sao_paulo", "America/Sao_Paulo"),
            ("Etc/GMT+5", "Etc/GMT+5"),
        ] {
            assert_eq!(text.parse::<Zone>().unwrap().name(), name);
        }
        assert_eq!(Zone::utc(), "UTC".parse().unwrap());
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            " ",
            "Europe/Berlim",
            "Berlin",
            "+01:00",
            "CET-1CEST,M3.5.0,M10.5.0/3",
            "Etc/Unknown",
            "/etc/localtime",
            "../UTC",
            "Europe/Berlin ",
        ] {
            assert_eq!(text.parse::<Zone>(), Err(UnknownZone { name: text.into() }), "{text}");
        }
    }

    #[test]
    fn reads_and_writes_as_its_name() {
        let berlin: Zone = "Europe/Berlin".parse().unwrap();
        assert_eq!(serde_json::to_string(&berlin).unwrap(), "\"Europe/Berlin\"");
        assert_eq!(serde_json::from_str::<Zone>("\"Europe/Berlin\"").unwrap(), berlin);
        assert!(serde_json::from_str::<Zone>("\"Mars/Olympus\"").is_err());
    }

    #[test]
    fn every_zone_of_the_database_is_taken_under_its_own_name() {
        let names: Vec<_> =
            TimeZoneDatabase::bundled().available().map(|name| name.to_string()).collect();
        assert!(names.len() > 500, "{}", names.len());
        for name in names {
            match name.parse::<Zone>() {
                Ok(zone) => assert_eq!(zone.name(), name),
                Err(error) => assert_eq!(name, "Etc/Unknown", "{error}"),
            }
        }
    }
}
