import type { OptimizerSpec } from "../../optim/optimizer_spec.ts";
import type { OptimizerName } from "../../optim/presets.ts";
import type { LearningRateScheduleType } from "../../optim/step/schedule.ts";

/** PEFT's LoraConfig. */
export interface PeftConfig {
  /** The only kind there is. */
  readonly peft_type: "LORA";
  /** Rank of the adapters. */
  readonly r: number;
  /** Adapters are scaled by lora_alpha / r. */
  readonly lora_alpha: number;
  /** Share of an adapter's inputs that is dropped in training. */
  readonly lora_dropout: number;
  /** Names of linear layers, one regular expression over whole names, or "all-linear"; null: the model's usual ones. */
  readonly target_modules: readonly string[] | string | null;
  /** Modules that are trained whole and saved with the adapter. */
  readonly modules_to_save: readonly string[] | null;
  /** Scale by lora_alpha / sqrt(r). */
  readonly use_rslora: boolean;
  /** Biases stay frozen. */
  readonly bias: "none";
}

/** Options of a learning rate schedule. */
export interface SchedulerOptions {
  /** Periods of cosine_with_restarts. */
  readonly num_cycles: number;
  /** The last learning rate, as a share of the first. */
  readonly min_lr_rate: number;
}

/** Changes of an optimizer's preset; what is not given is the preset's own. */
export type OptimArgs =
  & { readonly [Key in keyof OptimizerSpec]?: OptimizerSpec[Key] | undefined }
  & {
    /** Linear layers that never keep state, by parts of their names. */
    readonly state_free_modules?: readonly string[] | undefined;
  };

/**
 * Every setting of a run. Names are those of Hugging Face's LlamaConfig, TrainingArguments and TRL. A type and no
 * interface, so that it is a record of unknown values too.
 */
export type TrainingConfig = {
  /** A text file or rows; empty: the embedded stories. */
  readonly dataset: string;
  /** Put rows together into full sequences, none of which sees another. */
  readonly packing: boolean;
  /** Learn only the completion of rows with a prompt and a completion. */
  readonly completion_only_loss: boolean;
  /** Learn only the assistant's part of conversations. */
  readonly assistant_only_loss: boolean;
  /** "bpe" or "byte" for a new model; or the folder of another tokenizer than the model's own. */
  readonly tokenizer: string;
  /** Tokens of a BPE vocabulary. */
  readonly vocab_size: number;
  /** Share of the data that is held out for validation. */
  readonly validation_split: number;
  /** Tokens in a sequence. */
  readonly max_length: number;
  /** A pretrained model to train on; empty: a new one. */
  readonly model: string;
  /** Branch, tag or commit of the model on the hub. */
  readonly revision: string;
  /** Width of a new model. */
  readonly hidden_size: number;
  /** Width inside its feed-forward layers. */
  readonly intermediate_size: number;
  /** Number of its layers. */
  readonly num_hidden_layers: number;
  /** Heads of its queries. */
  readonly num_attention_heads: number;
  /** Heads of its keys and values. */
  readonly num_key_value_heads: number;
  /** Added to the mean square before its root. */
  readonly rms_norm_eps: number;
  /** Base of the rotary frequencies. */
  readonly rope_theta: number;
  /** Make embedding and output layer one matrix. */
  readonly tie_word_embeddings: boolean;
  /** Standard deviation of the initial weights. */
  readonly initializer_range: number;
  /** Storage of matrices; auto: float32 where they are trained, as in their files where they are frozen. */
  readonly dtype: "auto" | "float32" | "bfloat16";
  /** Store frozen weights of linear layers in 8 bits. */
  readonly load_in_8bit: boolean;
  /** Store frozen weights of linear layers in 4 bits (NF4). */
  readonly load_in_4bit: boolean;
  /** All dropouts of a GPT-2, BERT or RoBERTa; null: those of its config.json. */
  readonly dropout: number | null;
  /** Make each linear layer of a new model a pair of factors of this rank; 0: not. */
  readonly factor_rank: number;
  /** A factorised layer is scaled by factor_alpha / factor_rank. */
  readonly factor_alpha: number;
  /** Steps between two balancings of factors; 0: never. */
  readonly refactor_steps: number;
  /** Name of the optimizer. */
  readonly optim: OptimizerName;
  /** Highest learning rate; null: the optimizer's own, a tenth of it for a pretrained model. */
  readonly learning_rate: number | null;
  /** Course of the learning rate. */
  readonly lr_scheduler_type: LearningRateScheduleType;
  /** Options of that course. */
  readonly lr_scheduler_kwargs: SchedulerOptions;
  /** Steps, or a share of them, in which the learning rate rises. */
  readonly warmup_steps: number;
  /** Decoupled weight decay. */
  readonly weight_decay: number;
  /** Decay of the first moment. */
  readonly adam_beta1: number;
  /** Decay of the second moment. */
  readonly adam_beta2: number;
  /** Added to the root of the second moment; null: the rule's own. */
  readonly adam_epsilon: number | null;
  /** Changes of the optimizer's preset. */
  readonly optim_args: OptimArgs;
  /** Linear layers that the optimizer splits, by parts of their names; null: all. */
  readonly optim_target_modules: readonly string[] | null;
  /** Modules that are not trained, by parts of their names. */
  readonly frozen_modules: readonly string[];
  /** Modules that alone are trained, by parts of their names; null: all. */
  readonly trainable_modules: readonly string[] | null;
  /** Train LoRA adapters; null: the model itself. */
  readonly peft: PeftConfig | null;
  /** Folder of an adapter to go on with. */
  readonly adapter: string;
  /** Steps between two merges of adapters into their weights (ReLoRA); 0: never. */
  readonly relora_steps: number;
  /** Size such as "512MB" within which the largest density is chosen. */
  readonly memory_budget: string | null;
  /** Largest norm of all gradients together; 0: no clipping. */
  readonly max_grad_norm: number;
  /** Sequences in a micro-batch. */
  readonly per_device_train_batch_size: number;
  /** Micro-batches in a step. */
  readonly gradient_accumulation_steps: number;
  /** Compute activations a second time in the backward pass instead of keeping them. */
  readonly gradient_checkpointing: boolean;
  /** Store activations and their gradients in bf16. All arithmetic, weight gradients and state stay f32. */
  readonly bf16: boolean;
  /** Steps of the run. */
  readonly max_steps: number;
  /** Seed of everything random. */
  readonly seed: number;
  /** Steps between two read-backs of the loss, at most. */
  readonly logging_steps: number;
  /** Steps between two validations. */
  readonly eval_steps: number;
  /** Batches of a validation, at most. */
  readonly eval_batches: number;
  /** Steps between two samples. */
  readonly sample_steps: number;
  /** Tokens of a sample. */
  readonly sample_tokens: number;
  /** The beginning of a sample. */
  readonly prompt: string;
  /** Temperature of samples; 0: always the likeliest token. */
  readonly temperature: number;
  /** Samples draw from so many of the likeliest tokens; 0: from all. */
  readonly top_k: number;
  /** Steps between two checkpoints; 0: none. */
  readonly save_steps: number;
  /** Number of last checkpoints that are kept. */
  readonly save_total_limit: number;
  /** A run or a checkpoint to go on from. */
  readonly resume_from_checkpoint: string;
  /** The checkpoint may lack weights that are trained now. */
  readonly thaw: boolean;
  /** The checkpoint may have trained weights that are frozen now. */
  readonly freeze_trained: boolean;
  /** The checkpoint may have been trained on another pretrained model. */
  readonly ignore_base_hash: boolean;
  /** Folder of the run folders. */
  readonly output_dir: string;
  /** Name of the run folder. */
  readonly run_name: string;
};
