-- CRC-32 of each byte, from which that of a text is folded: by it the references drew their folds.
CREATE TABLE crc32_bytes AS
WITH RECURSIVE steps(byte, crc, n) AS (
    SELECT g, g::bigint, 0 FROM generate_series(0, 255) AS bytes(g)
    UNION ALL
    SELECT byte, CASE crc & 1 WHEN 1 THEN (crc >> 1) # 3988292384 ELSE crc >> 1 END, n + 1 FROM steps WHERE n < 8
)
SELECT byte, crc FROM steps WHERE n = 8;
