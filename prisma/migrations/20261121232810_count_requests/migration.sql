-- Requests of a minute, by a hash of the address, key or tenant that sent them. Nothing of a tenant stands in it and the
-- count comes before a tenant is known, so it has no row-level security; only the API sees it.
CREATE TABLE "admission_bucket" (
    "key" VARCHAR(255) NOT NULL,
    "points" INTEGER NOT NULL DEFAULT 0,
    "expire" BIGINT,

    CONSTRAINT "admission_bucket_pkey" PRIMARY KEY ("key")
);

-- CreateIndex
CREATE INDEX "admission_bucket_expire_idx" ON "admission_bucket"("expire");

GRANT SELECT, INSERT, UPDATE, DELETE ON admission_bucket TO anneal_api;
