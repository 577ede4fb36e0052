//! A host that refuses leaves the tree saying what the host has.

use proptest::prelude::*;
use warmfork_memory::{Area, AreaTree};

use crate::calls::{Emulated, WINDOW, config, operations};

/// The tree and the host agree about every page.
fn agree(emulated: &Emulated) -> Result<(), TestCaseError> {
    let spaces = [emulated.space.areas(), emulated.memory.areas()];
    prop_assert_eq!(spaces[0].mapped_bytes(), spaces[1].mapped_bytes());
    prop_assert_eq!(spaces[0].accessible_bytes().all(), spaces[1].accessible_bytes().all());
    for page in (WINDOW.start..WINDOW.end).step_by(4096) {
        let shown = |tree: &AreaTree| tree.find(page).map(|area| seen(area, page));
        prop_assert_eq!(shown(spaces[0]), shown(spaces[1]), "page {:x}", page);
    }
    Ok(())
}

fn seen(area: &Area, page: u64) -> String {
    let backing = area.backing.advanced(page - area.span.start);
    let shared = area.is_shared_file();
    match backing {
        warmfork_memory::Backing::Anonymous => format!("{:?} anonymous", area.protection),
        warmfork_memory::Backing::File { offset, .. } => format!("{:?} {offset:x} {shared}", area.protection),
    }
}

proptest! {
    #![proptest_config(config(300))]

    #[test]
    fn tree_follows_the_host(
        operations in operations(),
        refusals in prop::collection::vec(prop::option::of(0..4_usize), 40),
    ) {
        let mut emulated = Emulated::new();
        for (operation, refusal) in operations.iter().zip(refusals) {
            if let Some(successes) = refusal {
                emulated.memory.refuse_after(successes);
            }
            let _ = emulated.apply(operation);
            agree(&emulated)?;
        }
    }
}
