"""Tests of the deterministic machine.

| file            | what it is                                                                            |
|-----------------|---------------------------------------------------------------------------------------|
| `cell.py`       | a machine with somebody to type the commands: sessions, call numbers, slots            |
| `twin/`         | the machine once more, slow, in plain lists and dicts, with no code of the machine      |
| `workload.py`   | command sequences as chance has them, made to collide                                 |
| `picture.py`    | the whole state of machine and twin as plain data, so that they can be compared         |
| `test_twin.py`  | the proof: same commands, same outcomes, same state                                   |
| the other tests | one rule of DESIGN each, said in words and shown by an example                        |
"""
