"""What a physicist would write by hand to cluster a table: read, scale, UMAP, HDBSCAN. FILE CLUSTER_SIZE SAMPLES.

Prints one line of JSON: how many clusters, the fraction of noise, the adjusted Rand index with column ``truth``.
"""

from __future__ import annotations

import json
import sys

import hdbscan
import numpy as np
import pyarrow.parquet as pq
import umap
from sklearn.metrics import adjusted_rand_score


def main() -> None:
    path, cluster_size, samples = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    table = pq.read_table(path)
    truth = table["truth"].to_numpy()
    points = np.stack([table[name].to_numpy() for name in table.column_names if name != "truth"], axis=1)
    points = (points - points.mean(axis=0)) / points.std(axis=0)
    embedding = umap.UMAP(n_neighbors=15, min_dist=0.0, n_components=2, random_state=0, n_jobs=1).fit_transform(points)
    labels = hdbscan.HDBSCAN(min_cluster_size=cluster_size, min_samples=samples).fit_predict(embedding)
    print(json.dumps({"clusters": int(labels.max()) + 1, "noise": float(np.mean(labels < 0)),
                      "adjusted_rand": adjusted_rand_score(truth, labels)}))


if __name__ == "__main__":
    main()
