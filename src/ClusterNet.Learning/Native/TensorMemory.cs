using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace ClusterNet.Learning.Native;

/// <summary>
/// The values of a tensor where libtorch left them. The tensor lives until this is disposed of, on any thread, or lost; who reads its span keeps this alive until then, since a span of native memory does not.
/// </summary>
internal sealed unsafe class TensorMemory : MemoryManager<float>
{
    private readonly Tensor _tensor;
    private readonly float* _address;
    private readonly int _length;
    private bool _disposed;

    /// <param name="tensor">float32, dense and contiguous; this one's from here on</param>
    public TensorMemory(Tensor tensor)
    {
        _tensor = tensor.DetachFromDisposeScope();
        var bytes = tensor.bytes;
        _address = (float*)Unsafe.AsPointer(ref MemoryMarshal.GetReference(bytes));
        _length = bytes.Length / sizeof(float);
    }

    /// <inheritdoc/>
    public override Span<float> GetSpan()
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        return new Span<float>(_address, _length);
    }

    /// <inheritdoc/>
    public override MemoryHandle Pin(int elementIndex = 0)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)_length, nameof(elementIndex));
        return new MemoryHandle(_address + elementIndex, pinnable: this);
    }

    /// <inheritdoc/>
    public override void Unpin()
    {
        // nothing moves it
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        _disposed = true;
        if (disposing)
            _tensor.Dispose();
    }
}
