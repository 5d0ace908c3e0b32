//! The main job: a batch of prompts, finished inside the quota.
