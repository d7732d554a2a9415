"""Foreign weights in our modules, and back: what `tokenlearner convert` and `export` do.

| module                                            | whose weights                               |
|---------------------------------------------------|---------------------------------------------|
| scenic, scenic_config, scenic_files, flax_files,  | the official JAX code; both ways            |
| flax_folders                                      |                                             |
| keras, keras_files, keras_layers, keras_options,  | the Keras example; `tensor_bundle` reads a  |
| keras_photos                                      | SavedModel's variables without TensorFlow   |
| torch_ports, kashu7100                            | PyTorch ports                               |
| keys                                              | the table of names and layouts              |
| verify, folder                                    | what every conversion ends with             |
"""
