"""Many pictures: the same stages for each, in processes of this machine or on a Ray cluster.

1. `inputs` lists the pictures into a table on the disk (`table`), with a folder for the results of each.
2. `run` looks up in the manifest what an earlier run has done, and gives the rest to an engine.
3. An engine, `local` or `cluster`, takes each picture through the `stages`: read, decode, decompose, write.
4. `run` writes a line of the manifest for each picture, tries once more what killed its worker, and ends with the
   manifest in the order of the inputs.

Where files come from and go to, folders or buckets, is `places`' business.
"""
