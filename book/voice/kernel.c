/* The student's arithmetic for a reader's browser: WebAssembly, four samples at a time.

   A signal is rows of `stride` floats, one row a channel. Weights come packed: for each group of four
   output rows, the four weights of each input, (rows / 4, K, 4). Times are multiples of 8: a tile of
   4 rows by 8 samples stays in registers while all K inputs go by. */
#include <stdint.h>
#include <wasm_simd128.h>

typedef v128_t V;
#define EXPORT(name) __attribute__((export_name(name)))
#define SPLAT wasm_f32x4_splat
#define LOAD(p) wasm_v128_load(p)
#define ADD wasm_f32x4_add
#define SUB wasm_f32x4_sub
#define MUL wasm_f32x4_mul

#ifdef __wasm_relaxed_simd__ /* one rounding instead of two, where the processor has it */
#define ADD_PRODUCT(sum, a, b) wasm_f32x4_relaxed_madd(a, b, sum)
#else
#define ADD_PRODUCT(sum, a, b) ADD(sum, MUL(a, b))
#endif

/* acc[row][half] += sum over k of w[k][row] * in[k][.] */
static inline __attribute__((always_inline)) void
mac(V acc[4][2], const float *w, const float *in, int stride, int K) {
  for (int k = 0; k < K; k++, in += stride, w += 4) {
    V a = LOAD(in), b = LOAD(in + 4);
#pragma clang loop unroll(full)
    for (int r = 0; r < 4; r++) {
      V s = wasm_v128_load32_splat(w + r);
      acc[r][0] = ADD_PRODUCT(acc[r][0], s, a);
      acc[r][1] = ADD_PRODUCT(acc[r][1], s, b);
    }
  }
}

/* 2^y for |y| < 126: 2^n, put together from bits, times a polynomial in what is left, within 2e-7 of it. */
static inline V exp2_4(V y) {
  V magic = SPLAT(12582912.0f), z = ADD(y, magic), r = SUB(y, SUB(z, magic)); /* z's last bits are n */
  V p = SPLAT(1.32764725e-3f);
  p = ADD_PRODUCT(SPLAT(9.67554189e-3f), p, r);
  p = ADD_PRODUCT(SPLAT(5.55071309e-2f), p, r);
  p = ADD_PRODUCT(SPLAT(2.40221202e-1f), p, r);
  p = ADD_PRODUCT(SPLAT(6.93146944e-1f), p, r);
  p = ADD_PRODUCT(SPLAT(1.00000012f), p, r);
  return wasm_i32x4_add(p, wasm_i32x4_shl(z, 23));
}

#define LOG2E 1.44269504f
static inline V clamp(V x, float edge) {
  return wasm_f32x4_pmin(wasm_f32x4_pmax(x, SPLAT(-edge)), SPLAT(edge));
}

/* tanh(f) sigmoid(g) = (1 - e^-2f) / ((1 + e^-2f) (1 + e^-g)) */
static inline V gate(V f, V g) {
  V one = SPLAT(1.0f);
  V a = exp2_4(clamp(MUL(f, SPLAT(-2 * LOG2E)), 40.0f)), b = exp2_4(clamp(MUL(g, SPLAT(-LOG2E)), 60.0f));
  return wasm_f32x4_div(SUB(one, a), MUL(ADD(one, a), ADD(one, b)));
}

/* out[row][t] = act(b[row] + sum_k w[row][k] in[k][t]), t < T; mode 1 adds to what out holds instead of b,
   mode 2 also cuts the result off at 0 from below. */
EXPORT("affine")
void affine(const float *w, const float *b, int rows, int K, const float *in, int in_stride, float *out,
            int out_stride, int T, int mode) {
  for (int t = 0; t < T; t += 8)
    for (int o = 0; o < rows; o += 4) {
      V acc[4][2];
      float *to = out + o * out_stride + t;
      for (int r = 0; r < 4; r++)
        for (int h = 0; h < 2; h++)
          acc[r][h] = mode & 1 ? LOAD(to + r * out_stride + 4 * h) : SPLAT(b[o + r]);
      mac(acc, w + o * K, in + t, in_stride, K);
      for (int r = 0; r < 4; r++)
        for (int h = 0; h < 2; h++) {
          V v = acc[r][h];
          if (mode & 2) v = wasm_f32x4_max(v, SPLAT(0.0f));
          wasm_v128_store(to + r * out_stride + 4 * h, v);
        }
    }
}

/* One gated layer of R channels. Its 2R rows are packed in fours f, f, g, g of two channels.

     [f; g][t] = cond[t] + W_1 h[t - d] + W_0 h[t] + V phase[t],   a = tanh(f) sigmoid(g)
     skip[t] += S a[t],   next[t] = (h[t] + R a[t] + r) / sqrt(2)

   cond is linear between the values at two frames, at which the weights fall linearly, too: cond[n] holds
   the 2R rows of frame n, in the order of packing, bias included. Sample t of the block lies at
   (start + t + 1/2) / hop - 1/2 frames, and hop is a multiple of 16, so that no tile has a frame's
   centre inside it. `next` is null for the last layer. */
EXPORT("gated")
void gated(const float *w, int R, const float *h, int stride, int d, const float *phase, int P,
           int phase_stride, const float *cond, int frames, int start, int hop, const float *s,
           float *skip, int skip_stride, int S, const float *r, float *next, int next_stride, int T) {
  static float a[64 * 8];
  const float *bias = r + R * R;
  int per_group = 4 * (2 * R + P);
  float scale = 1.0f / hop;
  for (int t = 0; t < T; t += 8) {
    int n = (start + t - hop / 2 + hop) / hop - 1;
    float at = (start + t + 0.5f) * scale - 0.5f - n;
    V lam[2];
    for (int k = 0; k < 2; k++)
      lam[k] = ADD(SPLAT(at), MUL(wasm_f32x4_make(4 * k, 4 * k + 1, 4 * k + 2, 4 * k + 3), SPLAT(scale)));
    const float *c0 = cond + 2 * R * (n < 0 ? 0 : n);
    const float *c1 = cond + 2 * R * (n + 1 < frames ? n + 1 : frames - 1);
    for (int g = 0; g < R / 2; g++) {
      V acc[4][2];
      for (int q = 0; q < 4; q++) {
        V from = SPLAT(c0[4 * g + q]), step = SPLAT(c1[4 * g + q] - c0[4 * g + q]);
        for (int k = 0; k < 2; k++) acc[q][k] = ADD(from, MUL(step, lam[k]));
      }
      const float *row = w + g * per_group;
      mac(acc, row, h + t - d, stride, R);
      mac(acc, row + 4 * R, h + t, stride, R);
      mac(acc, row + 8 * R, phase + t, phase_stride, P);
      for (int k = 0; k < 2; k++) {
        wasm_v128_store(a + 16 * g + 4 * k, gate(acc[0][k], acc[2][k]));
        wasm_v128_store(a + 16 * g + 8 + 4 * k, gate(acc[1][k], acc[3][k]));
      }
    }
    for (int o = 0; o < S; o += 4) {
      V acc[4][2];
      float *to = skip + o * skip_stride + t;
      for (int q = 0; q < 8; q++) acc[q / 2][q % 2] = LOAD(to + q / 2 * skip_stride + q % 2 * 4);
      mac(acc, s + o * R, a, 8, R);
      for (int q = 0; q < 8; q++) wasm_v128_store(to + q / 2 * skip_stride + q % 2 * 4, acc[q / 2][q % 2]);
    }
    for (int o = 0; next && o < R; o += 4) {
      V acc[4][2];
      const float *from = h + o * stride + t;
      float *to = next + o * next_stride + t;
      for (int q = 0; q < 8; q++)
        acc[q / 2][q % 2] = ADD(SPLAT(bias[o + q / 2]), LOAD(from + q / 2 * stride + q % 2 * 4));
      mac(acc, r + o * R, a, 8, R);
      for (int q = 0; q < 8; q++)
        wasm_v128_store(to + q / 2 * next_stride + q % 2 * 4, MUL(acc[q / 2][q % 2], SPLAT(0.70710678f)));
    }
  }
}

/* x[t] = x[t] e^s[t] + m[t], in place. */
EXPORT("shift_and_scale")
void shift_and_scale(float *x, const float *m, const float *s, int T) {
  for (int t = 0; t < T; t += 4)
    wasm_v128_store(x + t, ADD(MUL(LOAD(x + t), exp2_4(clamp(MUL(LOAD(s + t), SPLAT(LOG2E)), 120.0f))), LOAD(m + t)));
}
