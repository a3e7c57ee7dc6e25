//! Faults while a load with a known truth runs, on a real Kafka and a real ClickHouse; and what is true
//! afterwards.
//!
//! - [`ground`] is a broker and a ClickHouse, with a proxy before each; [`scene`] is one deployment on
//!   it: topics, a database, services as processes, a producer.
//! - [`classes`] are the faults, each a small declaration; [`run`] puts one on a scene, and audits.
//! - A class is worth what it catches: [`run`] also runs it over services that are broken on purpose
//!   (`sabotage`), where it must fail.
//! - [`report`] prints.

pub mod api;
pub mod classes;
pub mod feeder;
pub mod ground;
pub mod report;
pub mod run;
pub mod scene;
