using BenchmarkDotNet.Attributes;
using MetaStore.Engine;

namespace MetaStore.Micro;

/// <summary>A put to its bytes and back, beside a plain copy of as many bytes: the floor of any codec.</summary>
[MemoryDiagnoser]
public class CodecBenchmarks
{
    private readonly PutRequest _put = new() { Key = FilledStore.Key(7), Value = new byte[FilledStore.ValueBytes] };
    private byte[] _bytes = [];
    private byte[] _buffer = [];

    [GlobalSetup]
    public void Encode()
    {
        _buffer = new byte[StoreRequestCodec.GetLength(_put)];
        StoreRequestCodec.Write(_put, _buffer);
        _bytes = [.. _buffer];
    }

    [Benchmark]
    public int WritePut() => StoreRequestCodec.Write(_put, _buffer);

    [Benchmark]
    public StoreRequest ReadPut() => StoreRequestCodec.Read(_bytes, out _);

    [Benchmark]
    public void Copy() => _bytes.CopyTo(_buffer, 0);
}
