"""Foreign weights in our modules, and back: what `tokenlearner convert` and `export` do.

| module                                            | whose weights                               |
|---------------------------------------------------|---------------------------------------------|
| scenic, scenic_config, scenic_files, flax_files   | the official JAX code; both ways            |
| keras, keras_files, keras_options, keras_photos   | the Keras example; `tensor_bundle` reads a  |
|                                                   | SavedModel's variables without TensorFlow   |
| torch_ports                                       | PyTorch ports                               |
| keys                                              | the table of names and layouts              |
| verify, folder                                    | what every conversion ends with             |
"""
