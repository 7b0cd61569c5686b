/* A thin matrix times a weight that was packed once: tile (rows, WIDTH) += a (rows, depth) * panel (depth, WIDTH).

   Included once for each type of the operands, with these defined:
     NAME(x)   the name of a function for this type
     operand   what one number of `a` is stored as
     STEP      how many numbers along the depth one instruction multiplies and adds: 1, or 2 for bfloat16
   The depth is a multiple of STEP. A panel holds, for each STEP of the depth, STEP numbers of each of WIDTH columns. */

INLINE void NAME(tile)(int rows, const operand *a, long stride, const operand *panel, int depth, float *tile) {
    vec sums[ROWS][4];
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < 4; j++) sums[r][j] = load(tile + r * WIDTH + j * LANES);
    for (int k = 0; k < depth; k += STEP) {
        vec x[ROWS];
        for (int r = 0; r < rows; r++) {
            x[r] = NAME(spread)(a + r * stride + k);
            PIN(x[r]);
        }
        for (int j = 0; j < 4; j++) {
            vec w = load((const float *)(panel + (long)k * WIDTH + (long)j * LANES * STEP));
            PIN(w);
            for (int r = 0; r < rows; r++) sums[r][j] = NAME(multiply_add)(x[r], w, sums[r][j]);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < 4; j++) store(tile + r * WIDTH + j * LANES, sums[r][j]);
}

/* A constant number of rows in each call, so that the sums stay in registers. */
static void NAME(product)(int rows, int depth, const operand *a, long stride, const operand *panel, float *tile) {
    for (int k = 0; k < depth; k += DEPTH) {
        const operand *left = a + k, *right = panel + (long)k * WIDTH;
        int part = depth - k < DEPTH ? depth - k : DEPTH, r = 0;
        for (; r + ROWS <= rows; r += ROWS) NAME(tile)(ROWS, left + r * stride, stride, right, part, tile + r * WIDTH);
        for (; r + 2 <= rows; r += 2) NAME(tile)(2, left + r * stride, stride, right, part, tile + r * WIDTH);
        for (; r < rows; r++) NAME(tile)(1, left + r * stride, stride, right, part, tile + r * WIDTH);
    }
}

/* panels[(panel, depth / STEP, WIDTH, STEP)] of a matrix whose element (k, column) is matrix[k * down + column * across];
   columns[panel * WIDTH + lane] says which column stands where, -1 that none does. */
void NAME(pack)(int depth, int num_panels, const float *matrix, long down, long across, const int *columns,
                operand *panels, int threads) {
#pragma omp parallel for num_threads(threads)
    for (int p = 0; p < num_panels; p++)
        for (int lane = 0; lane < WIDTH; lane++) {
            int column = columns[p * WIDTH + lane];
            operand *to = panels + (long)p * depth * WIDTH + lane * STEP;
            for (int k = 0; k < depth; k++)
                to[(long)(k / STEP) * WIDTH * STEP + k % STEP] =
                    column < 0 ? 0 : NAME(round)(matrix[k * down + column * across]);
        }
}
