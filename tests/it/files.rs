//! Tables of Parquet files, whatever wrote them and whatever happens to them meanwhile: the same rows
//! on one process and on a cluster of two executors.

mod fresh;
mod names;
mod partitions;
mod roots;
mod schemas;
mod shelf;
mod statistics;
