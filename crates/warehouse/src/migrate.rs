//! Bringing a database to this version's tables and views.
//!
//! A new database is made from the tables as they stand and marked with every version; an older one
//! runs the steps that it lacks. Both must end the same, which [`Warehouse::check_schema`] holds.
//! Views hold no data, so they are replaced each time.

use projection::tables::{TABLES, Table};

use crate::ddl::{create_table, create_view, identifier, literal};
use crate::error::WarehouseError;
use crate::views::VIEWS;
use crate::warehouse::Warehouse;

/// While a table is filled, the server merges many parts at a time and so each row less often: their number stays
/// far below what delays inserts (1,000).
const FEWER_MERGES: (&str, u32) = ("min_parts_to_merge_at_once", 40);

/// One step from a version to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Migration {
    /// The version that it leads to.
    pub version: u32,
    pub name: &'static str,
    /// Statements, each ended by `;` and a line's end. They may run twice (`… IF NOT EXISTS`) and
    /// beside another projector: a step that was interrupted is run again.
    pub sql: &'static str,
}

impl Migration {
    fn statements(&self) -> impl Iterator<Item = &'static str> {
        self.sql.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
    }
}

/// Every step, in order. The first is the tables themselves (`ddl/v001.sql` keeps them as they were
/// released, for the test that an old database is brought to the same end).
pub const MIGRATIONS: &[Migration] = &[
    Migration { version: 1, name: "initial tables", sql: "" },
    Migration {
        version: 2,
        name: "holds, plans, budgets, refunds and reversals",
        sql: include_str!("../ddl/v002.sql"),
    },
    Migration {
        version: 3,
        name: "the journal of rebuilds, and what was sent again of the dead letters",
        sql: include_str!("../ddl/v003.sql"),
    },
];

/// The version that this code reads and writes; part of every insert's token.
pub const SCHEMA_VERSION: u32 = MIGRATIONS[MIGRATIONS.len() - 1].version;

const CREATE_SCHEMA_MIGRATIONS: &str = "CREATE TABLE IF NOT EXISTS schema_migrations
(
    version UInt32 COMMENT 'Version of the tables, from 1; the largest is the database\\'s.',
    name String COMMENT 'What the step that leads to the version does.',
    applied_at DateTime64(6, 'UTC') DEFAULT now64(6, 'UTC') COMMENT 'When it was applied, UTC.'
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY version
COMMENT 'Versions of the tables that this database has been brought through.'";

impl Warehouse {
    /// Makes the database, its tables and views, or brings older ones up to date. May be repeated,
    /// and run by several at once. Returns the version that was there: `None` for a new database.
    ///
    /// # Errors
    /// [`WarehouseError::NewerSchema`] when a newer tally made the database; what the server says.
    pub async fn migrate(&self) -> Result<Option<u32>, WarehouseError> {
        let create = format!("CREATE DATABASE IF NOT EXISTS {}", identifier(self.database()));
        self.execute_outside(&create).await?;
        self.execute(CREATE_SCHEMA_MIGRATIONS).await?;
        let found = self.schema_version().await?;
        match found {
            Some(found) if found > SCHEMA_VERSION => {
                return Err(WarehouseError::NewerSchema { found, known: SCHEMA_VERSION });
            }
            Some(found) => {
                for step in MIGRATIONS.iter().filter(|step| step.version > found) {
                    for statement in step.statements() {
                        self.execute(statement).await?;
                    }
                    self.record(step).await?;
                }
            }
            None => {
                for table in TABLES {
                    self.execute(&create_table(table, table.name)).await?;
                }
                for step in MIGRATIONS {
                    self.record(step).await?;
                }
            }
        }
        for view in VIEWS {
            self.execute(&create_view(view)).await?;
        }
        Ok(found)
    }

    /// Makes tables beside the live ones, under this handle's suffix, to be filled.
    pub async fn create_shadow_tables(&self, tables: &[&Table]) -> Result<(), WarehouseError> {
        for table in tables {
            let name = identifier(&self.shadow_name(table)?);
            self.execute(&create_table(table, &name)).await?;
            let (setting, parts) = FEWER_MERGES;
            let fewer = format!("ALTER TABLE {name} MODIFY SETTING {setting} = {parts}");
            self.execute(&fewer).await?;
        }
        Ok(())
    }

    /// Lets the server merge the parts of these shadows as those of any table: what is live is read
    /// more than it is written.
    pub async fn merge_as_usual(&self, tables: &[&Table]) -> Result<(), WarehouseError> {
        let (setting, _) = FEWER_MERGES;
        for table in tables {
            let name = identifier(&self.shadow_name(table)?);
            self.execute(&format!("ALTER TABLE {name} RESET SETTING {setting}")).await?;
        }
        Ok(())
    }

    /// Drops tables that [`Warehouse::create_shadow_tables`] made, with their rows. Refuses on the
    /// live ones.
    pub async fn drop_shadow_tables(&self, tables: &[&Table]) -> Result<(), WarehouseError> {
        for table in tables {
            let name = identifier(&self.shadow_name(table)?);
            // However large it is: servers have a bound against mistakes, and this is none.
            let drop =
                format!("DROP TABLE IF EXISTS {name} SYNC SETTINGS max_table_size_to_drop = 0");
            self.execute(&drop).await?;
        }
        Ok(())
    }

    pub(crate) fn shadow_name(&self, table: &Table) -> Result<String, WarehouseError> {
        if self.is_live() {
            return Err(WarehouseError::Misconfigured(
                "these are the live tables, not shadows of them".to_owned(),
            ));
        }
        Ok(self.table_name(table))
    }

    async fn schema_version(&self) -> Result<Option<u32>, WarehouseError> {
        #[derive(serde::Deserialize)]
        struct Row {
            version: Option<u32>,
        }
        let rows: Vec<Row> =
            self.query_rows("SELECT maxOrNull(version) AS version FROM schema_migrations").await?;
        Ok(rows.into_iter().find_map(|row| row.version))
    }

    async fn record(&self, step: &Migration) -> Result<(), WarehouseError> {
        self.execute(&format!(
            "INSERT INTO schema_migrations (version, name) SETTINGS async_insert = 0 VALUES ({}, {})",
            step.version,
            literal(step.name)
        ))
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was released stays as it is.
    #[test]
    fn the_first_version_is_kept() {
        let first = include_str!("../ddl/v001.sql");
        let hash = first.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        assert_eq!(
            hash, 0xeb79_bef5_b103_a907,
            "ddl/v001.sql was changed: a later version is a file of its own"
        );
    }

    #[test]
    fn steps_may_run_twice() {
        for step in MIGRATIONS {
            for statement in step.statements() {
                let repeatable = statement.starts_with("CREATE TABLE IF NOT EXISTS ")
                    || statement.starts_with("ALTER TABLE ");
                assert!(repeatable, "{statement}");
                for word in ["ADD COLUMN ", "DROP COLUMN "] {
                    for rest in statement.split(word).skip(1) {
                        assert!(rest.starts_with("IF "), "{statement}");
                    }
                }
            }
        }
    }

    #[test]
    fn versions_follow_one_another() {
        for (index, step) in MIGRATIONS.iter().enumerate() {
            assert_eq!(step.version as usize, index + 1);
        }
    }
}
