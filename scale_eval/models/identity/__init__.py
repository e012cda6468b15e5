"""Identify a user's code: its own text, and all that its results depend on beside the data.

=========================  ======================================================================
`model_identity`           what a model or metric is
`dependencies`             what it uses of other modules and of a notebook
`described_value`          the hash of a value, which is the same in every process
`readable`                 plain data as text
`computed_values`          the values that a class, a function or an assignment does not say
`not_compared`             the parts of a value that cannot be compared
`declared_files`           the files that a model says it reads
`user_modules`             the modules that are the user's own
`used_source`              the statements of a module on which a name depends
`loaded_code`              whether a module is what its file says now
`code_parts`, `code_text`  functions, classes and objects taken apart, and code as text
=========================  ======================================================================
"""
