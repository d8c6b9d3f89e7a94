//! A client of HBase's Thrift gateway that loses no row.
