//! Snapshots of a partition's state: a cache of the fold, taken at a committed seal, versioned,
//! checksummed (by the store), and never needed: without one the ledger is folded from its start.

use domain::{Offset, Partition};
use flow::Progress;
use identity::{IdentityError, IdentityIndex, Snapshot, SnapshotStore};
use ledger::PartitionState;
use sabotage::{Break, Point};
use serde::{Deserialize, Serialize};

use crate::ChargerSettings;
use crate::core::{Folded, PartitionCore};

/// Raised whenever what is stored, or what a field means, changes: an older one is then folded anew.
const VERSION: u32 = 2;

/// What a snapshot's state bytes hold, written.
#[derive(Serialize)]
struct Writing<'a> {
    version: u32,
    /// The ledger offset where the fold goes on.
    ledger_next: Offset,
    progress: &'a Progress,
    state: &'a PartitionState,
}

/// The same, read.
#[derive(Deserialize)]
struct Stored {
    version: u32,
    ledger_next: Offset,
    progress: Progress,
    state: PartitionState,
}

/// Where a charger keeps its snapshots and identity runs.
#[derive(Debug)]
pub struct Snapshots {
    store: SnapshotStore,
    identity: identity::Settings,
}

impl Snapshots {
    /// Opens the folder, making it when it is not there.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(settings: &ChargerSettings) -> Result<Self, IdentityError> {
        let identity = identity::Settings {
            hot_ids_max: settings.hot_identities_max,
            ..identity::Settings::default()
        };
        Ok(Self { store: SnapshotStore::open(&settings.state_dir)?, identity })
    }

    /// The newest snapshot that is whole, and the ledger offset after it; an empty state and the
    /// ledger's start when there is none.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn newest(&self, partition: Partition) -> Result<(Offset, Folded), IdentityError> {
        let latest = self.store.latest(partition)?;
        for error in &latest.skipped {
            tracing::warn!(%partition, %error, "snapshot passed over");
        }
        if let Some(snapshot) = latest.snapshot {
            match self.read(partition, &snapshot) {
                Ok(found) => return Ok(found),
                Err(why) => tracing::warn!(%partition, why, "snapshot passed over"),
            }
        }
        Ok((Offset::ZERO, self.nothing(partition)?))
    }

    /// The state before the ledger's first record.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn nothing(&self, partition: Partition) -> Result<Folded, IdentityError> {
        let folder = self.store.run_folder(partition)?;
        Ok(Folded {
            state: PartitionState::default(),
            identity: IdentityIndex::new(self.identity, folder),
            progress: Progress::default(),
        })
    }

    fn read(&self, partition: Partition, snapshot: &Snapshot) -> Result<(Offset, Folded), String> {
        let stored: Stored =
            postcard::from_bytes(&snapshot.state).map_err(|error| error.to_string())?;
        if stored.version != VERSION {
            return Err(format!("version {}, this is version {VERSION}", stored.version));
        }
        let mut state = stored.state;
        state.restore_derived();
        let folder = self.store.run_folder(partition).map_err(|error| error.to_string())?;
        let identity = IdentityIndex::restore(self.identity, folder, &snapshot.identity)
            .map_err(|error| error.to_string())?;
        let identity = if sabotage::is_on(Break::IdentityForgotten) {
            self.nothing(partition).map_err(|error| error.to_string())?.identity
        } else {
            identity
        };
        Ok((stored.ledger_next, Folded { state, identity, progress: stored.progress }))
    }

    /// Saves a partition's state at its last seal, which is committed; `ledger_next` is the ledger's
    /// end after it.
    ///
    /// # Errors
    /// When the state or a run cannot be written; the snapshot before stays.
    pub fn save(
        &self,
        partition: Partition,
        ledger_next: Offset,
        core: &mut PartitionCore,
    ) -> Result<(), IdentityError> {
        let at = crate::core::place_of(core.state().next_number());
        let identity = core.identity_mut().persist(at)?;
        sabotage::pass(Point::RunsWritten);
        let writing = Writing {
            version: VERSION,
            ledger_next,
            progress: core.progress(),
            state: core.state(),
        };
        let state = postcard::to_stdvec(&writing).unwrap_or_default();
        self.store.put(&Snapshot { partition, state, identity: identity.clone() })?;
        if let Some(plan) = core.identity().plan_merge() {
            let merged = plan.execute(core.identity().folder())?;
            core.identity_mut().adopt_merge(merged)?;
        }
        let living = core.identity().manifest();
        self.store.collect_garbage(partition, &living)?;
        Ok(())
    }
}
