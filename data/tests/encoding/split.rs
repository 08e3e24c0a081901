use dyad_data::{Error, TrainTest};
use std::collections::HashSet;

/// Computed by testdata/split.py, from the description alone.
#[test]
fn as_described() {
    assert_eq!(TrainTest::by_seed(10, 3, 0).unwrap().test, [2, 4, 5]);
    assert_eq!(TrainTest::by_seed(10, 3, 1).unwrap().test, [0, 7, 9]);
    assert_eq!(
        TrainTest::by_seed(1000, 8, 20_240_229).unwrap().test,
        [29, 125, 130, 458, 611, 620, 805, 883]
    );
}

#[test]
fn every_row_once() {
    for rows in [2, 3, 7, 100, 1797] {
        for seed in 0..20 {
            let TrainTest { train, test } = TrainTest::by_share(rows, 500, seed).unwrap();
            assert_eq!(test.len(), rows / 2);
            assert!(train.is_sorted() && test.is_sorted());
            let mut all = [train, test].concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..rows as u32));
        }
    }
}

#[test]
fn seeds_give_different_splits() {
    let tests: HashSet<_> =
        (0..100).map(|seed| TrainTest::by_seed(100, 20, seed).unwrap().test).collect();
    assert_eq!(tests.len(), 100);
}

/// Each row is in the test part about as often as any other: the mean is 100 and the deviation 9.
#[test]
fn no_row_is_favoured() {
    let mut counts = [0u32; 50];
    for seed in 0..500 {
        for row in TrainTest::by_seed(50, 10, seed).unwrap().test {
            counts[row as usize] += 1;
        }
    }
    assert!(counts.iter().all(|count| (60..140).contains(count)), "{counts:?}");
}

#[test]
fn neither_part_is_empty() {
    for (rows, test) in [(10, 0), (10, 10), (10, 11), (0, 0), (1, 1)] {
        assert!(matches!(TrainTest::by_seed(rows, test, 0), Err(Error::Split(_))));
    }
    assert!(matches!(TrainTest::by_seed(1 << 33, 5, 0), Err(Error::Split(_))));
    assert!(TrainTest::by_share(10, 99, 0).is_err());
    assert_eq!(TrainTest::by_share(10, 100, 0).unwrap().test.len(), 1);
}
