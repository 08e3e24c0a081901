use super::file;
use dyad_data::schema::{Classes, Column, Draft, MissingLabel, Numeric, Scaling};
use dyad_data::{Limits, Schema, Table};
use std::time::Instant;

/// 784 pixels from 0 to 255 and ten classes.
fn schema() -> Schema {
    let mut pixels = Numeric::new("pixel", Scaling::MinMax { min: 0.0, max: 255.0 });
    pixels.count = Some(784);
    let label = Classes {
        name: "label".into(),
        classes: (0..10).map(|class| class.to_string()).collect(),
        missing: MissingLabel::Refuse,
        missing_markers: Vec::new(),
    };
    Schema::new(Draft::of(vec![Column::Numeric(pixels), Column::Classes(label)])).unwrap()
}

fn assert_images(stem: &str, counts: [usize; 10], pixel_sum: u64) {
    let (Some(images), Some(labels)) = (
        file(&format!("{stem}-images-idx3-ubyte.gz")),
        file(&format!("{stem}-labels-idx1-ubyte.gz")),
    ) else {
        return;
    };
    let started = Instant::now();
    let table = Table::read_idx(images, labels, &Limits::default()).unwrap();
    let read = started.elapsed();
    let started = Instant::now();
    let encoded = schema().encode(&table, &Limits::default()).unwrap();
    eprintln!("{stem}: read in {read:.0?}, encoded in {:.0?}", started.elapsed());
    assert_eq!((encoded.rows(), encoded.width()), (counts.iter().sum(), 784));
    let found: Vec<usize> =
        encoded.labels().unwrap().histogram().iter().map(|(_, count)| *count).collect();
    assert_eq!(found, counts);
    // x / 255 with 16 bits behind the point is 257 x, give or take rounding: 65536 = 257 * 255 + 1.
    let sum: u64 = encoded.values().iter().map(|x| *x as u64 / 257).sum();
    assert_eq!(sum, pixel_sum);
    assert!(encoded.values().iter().all(|x| (0..=65536).contains(x)));
}

#[test]
fn mnist() {
    let train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949];
    assert_images("mnist/train", train, 1_567_298_545);
    let test = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009];
    assert_images("mnist/t10k", test, 264_923_200);
}

#[test]
fn fashion_mnist() {
    assert_images("fashion-mnist/train", [6000; 10], 3_431_114_169);
    assert_images("fashion-mnist/t10k", [1000; 10], 573_469_082);
}
