"""Tables: CSV files as data.

splits = jaxtrain.data.csv_table(0.1, seed=0, train="penguins.csv", target="species")
"""

from jaxtrain.data.tables.adult import adult, adult_reader
from jaxtrain.data.tables.category_column import CategoryColumn
from jaxtrain.data.tables.csv_config import csv_config
from jaxtrain.data.tables.csv_source import csv_table
from jaxtrain.data.tables.date_column import DateColumn
from jaxtrain.data.tables.dialect import Dialect
from jaxtrain.data.tables.encoder import TableEncoder
from jaxtrain.data.tables.head import read_head
from jaxtrain.data.tables.inspection import InspectedColumn, TableInspection, inspect_table
from jaxtrain.data.tables.kinds import Kind, kind_of
from jaxtrain.data.tables.numeric_column import NumericColumn
from jaxtrain.data.tables.reading import read_table
from jaxtrain.data.tables.sniffing import sniff
from jaxtrain.data.tables.table import Table
from jaxtrain.data.tables.table_reader import TableReader, csv_reader

__all__ = [
    "CategoryColumn",
    "DateColumn",
    "Dialect",
    "InspectedColumn",
    "Kind",
    "NumericColumn",
    "Table",
    "TableEncoder",
    "TableInspection",
    "TableReader",
    "adult",
    "adult_reader",
    "csv_config",
    "csv_reader",
    "csv_table",
    "inspect_table",
    "kind_of",
    "read_head",
    "read_table",
    "sniff",
]
