"""Chapter 8: a vector times a matrix, the sums kept in registers.

Left to itself the compiler turns `out[o] += v[i] * weight[i, o]` into code that reads and writes `out` for every
few rows. Here the code is written in the compiler's own language (LLVM). Registers hold the sums of up to 128
outputs in float32, as far as the machine has as many, while the rows of the matrix pass by, from the first byte
to the last.

numba keeps machine code by the date of the file that calls: after a change here, touch `numba.py`.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

LINE = 64  # bytes: a line of the cache, and the widest register


def packed(values: np.ndarray) -> np.ndarray:
    """A copy whose rows are whole lines of the cache: filled up with zeros, and placed where a line begins.

    >>> packed(np.ones((5, 3), np.float32)).shape
    (5, 16)
    """
    size = values.dtype.itemsize
    width = -(-values.shape[-1] * size // LINE) * LINE // size
    shape = (*values.shape[:-1], width)
    memory = np.zeros(int(np.prod(shape)) * size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    copy = memory[start : len(memory) - LINE + start].view(values.dtype).reshape(shape)
    copy[..., : values.shape[-1]] = values
    return copy


@intrinsic
def add_product(typing, out, weight, v):
    """out (O,) += v (I,) @ weight (I, O), where O is a number of whole lines, as `packed` makes them."""

    def code(context, builder, signature, arguments):
        out, weight, v = (
            context.make_array(kind)(context, builder, array)
            for kind, array in zip(signature.args, arguments, strict=True)
        )
        inputs, outputs = cgutils.unpack_tuple(builder, weight.shape)
        number, element = inputs.type, v.data.type.pointee
        lanes = LINE // context.get_abi_sizeof(element)
        vector = ir.VectorType(element, lanes)
        place = lambda array, index: builder.bitcast(
            builder.gep(array.data, [index]), vector.as_pointer()
        )
        load = lambda array, index: builder.load(place(array, index), align=element_size)
        element_size, first = LINE // lanes, number(0)
        for registers in (8, 4, 2, 1):  # as many sums at once as outputs are left
            step = number(registers * lanes)
            end = builder.sub(outputs, builder.urem(outputs, step))
            with cgutils.for_range_slice(builder, first, end, step) as (o, _):
                columns = [builder.add(o, number(k * lanes)) for k in range(registers)]
                sums = [cgutils.alloca_once_value(builder, load(out, c)) for c in columns]
                with cgutils.for_range(builder, inputs) as row:
                    begin = builder.mul(row.index, outputs)
                    x = builder.load(builder.gep(v.data, [row.index]))
                    x = builder.insert_element(vector(ir.Undefined), x, ir.IntType(32)(0))
                    lane = ir.VectorType(ir.IntType(32), lanes)(None)  # zeros: all lanes take x
                    x = builder.shuffle_vector(x, x, lane)
                    for total, c in zip(sums, columns, strict=True):
                        w = load(weight, builder.add(begin, c))
                        term = builder.fmul(x, w, flags=("contract",))
                        term = builder.fadd(builder.load(total), term, flags=("contract",))
                        builder.store(term, total)
                for total, c in zip(sums, columns, strict=True):
                    builder.store(builder.load(total), place(out, c), align=element_size)
            first = end
        return context.get_dummy_value()

    if {array.layout for array in (out, weight, v)} == {"C"}:
        return types.none(out, weight, v), code
