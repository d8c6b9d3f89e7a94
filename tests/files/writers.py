"""The programs that write, one after another."""

import importlib
import sys

MODULES = ["by_arrow", "by_duckdb", "by_polars", "by_pandas", "by_csv", "by_json", "mixed"]


def all_cases(folder, shop, spark):
    """All cases, and what was left out. `spark` is `None`, or a folder in which pyspark may be."""
    cases = [case for name in MODULES for case in importlib.import_module(name).cases(folder, shop)]
    if spark is None:
        return cases, ["the files of Spark, without --spark"]
    sys.path.append(spark)
    try:
        by_spark = importlib.import_module("by_spark")
    except ImportError as error:
        return cases, [f"the files of Spark: {error}"]
    return cases + list(by_spark.cases(folder, shop)), []
